package main

import (
	"fmt"

	"trustcore/verify/poland"
)

// readPins reads the list of keys that Polish law publishes; "" is the one that is shipped.
func readPins(file string) (*poland.Pins, error) {
	if file == "" {
		return poland.Shipped(), nil
	}
	data, err := readWithin(file, poland.MaxPins)
	if err != nil {
		return nil, fmt.Errorf("pins: %w", err)
	}
	pins, err := poland.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("pins: %s: %w", file, err)
	}
	return pins, nil
}
