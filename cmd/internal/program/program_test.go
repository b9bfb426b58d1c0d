package program_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/program"
)

func TestArguments(t *testing.T) {
	served, checked := errors.New("served"), errors.New("checked")
	d := program.Daemon{Name: "somed", Usage: "somed does something\n",
		Serve: func(_ context.Context, file string) error { return errors.Join(served, errors.New(file)) },
		Check: func(file string) error { return errors.Join(checked, errors.New(file)) }}
	for args, want := range map[string]string{
		"--config a.yaml": "served\na.yaml", "--check --config a.yaml": "checked\na.yaml",
		"--config": "usage: somed", "": "usage: somed", "--check": "usage: somed", "--config a.yaml b": "see somed --help",
	} {
		if err := d.Run(t.Context(), strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
	if err := d.Run(t.Context(), []string{"--help"}); err != nil {
		t.Error(err)
	}
}

func TestPause(t *testing.T) {
	if !program.Pause(t.Context(), time.Microsecond) {
		t.Error("it did not wait")
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if program.Pause(ended, time.Hour) {
		t.Error("it waited for who had left")
	}
}
