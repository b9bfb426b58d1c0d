package main

import (
	"fmt"
	"io"
	"os"

	"trustcore/verify/poland"
)

// readPins reads the list of keys that Polish law publishes; "" is the one that is shipped.
func readPins(file string) (*poland.Pins, error) {
	if file == "" {
		return poland.Shipped(), nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("pins: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, poland.MaxPins+1)) // Parse refuses a longer one
	if err != nil {
		return nil, fmt.Errorf("pins: %w", err)
	}
	pins, err := poland.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("pins: %s: %w", file, err)
	}
	return pins, nil
}
