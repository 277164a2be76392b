package main

import (
	"context"
	"os"

	"github.com/kardianos/service"
)

// supervised runs the daemon until the service control manager, or in a console the operator (through ctx), stops it.
func supervised(ctx context.Context, configFile string, run func(context.Context) error) error {
	if service.Interactive() {
		return run(ctx)
	}
	p := &program{run: run, done: make(chan error, 1), exit: func(err error) { os.Exit(max(exitStatus(err), 1)) }}
	svc, err := kardianosService(p, configFile)
	if err != nil {
		return err
	}
	return svc.Run()
}
