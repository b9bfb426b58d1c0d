package durable

import (
	"fmt"
	"io"
	"os"
)

// ReadFile reads a file of at most so many bytes. What is no regular file, such as a pipe, is read as one.
func ReadFile(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		return nil, fmt.Errorf("%s is too large: it has more than %d bytes", name, most)
	}
	return data, err
}
