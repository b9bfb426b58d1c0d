package main

import (
	"fmt"

	"trustcore/internal/durable"
	"trustcore/verify/poland"
)

// readPins reads the list of keys that Polish law publishes, and returns the file too; "" is the one that is shipped.
func readPins(file string) (*poland.Pins, []byte, error) {
	if file == "" {
		return poland.Shipped(), poland.ShippedSource(), nil
	}
	data, err := durable.ReadFile(file, poland.MaxPins)
	if err != nil {
		return nil, nil, fmt.Errorf("pins: %w", err)
	}
	pins, err := poland.Parse(data)
	if err != nil {
		return nil, nil, fmt.Errorf("pins: %s: %w", file, err)
	}
	return pins, data, nil
}
