//go:build unix && !linux

package main

import (
	"errors"
)

func newServiceControl(string) (serviceControl, error) {
	return nil, withHint(errors.New("services are managed on Linux and Windows only"), "let your own supervisor start `azs-agent run`")
}
