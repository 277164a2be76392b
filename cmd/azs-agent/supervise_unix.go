//go:build unix

package main

import "context"

// supervised runs the daemon until ctx ends, which SIGTERM and SIGINT bring about. systemd needs nothing more of a
// process; notify tells it the rest.
func supervised(ctx context.Context, _ string, run func(context.Context) error) error {
	return run(ctx)
}
