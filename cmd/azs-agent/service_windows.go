package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/kardianos/service"
	"golang.org/x/sys/windows/svc/mgr"
)

// windowsControl is serviceControl on the service control manager.
type windowsControl struct {
	svc service.Service
}

var _ serviceControl = (*windowsControl)(nil)

func newServiceControl(configFile string) (serviceControl, error) {
	svc, err := kardianosService(configFile)
	if err != nil {
		return nil, err
	}
	return &windowsControl{svc}, nil
}

// kardianosService describes the service. The configuration's path is given in full: a service starts in System32.
func kardianosService(configFile string) (service.Service, error) {
	svc, err := service.New(nil, &service.Config{
		Name:        serviceName,
		DisplayName: "AZS loyalty agent",
		Description: "Reads loyalty cards, keeps the points of this fuel station, serves the cash register.",
		Arguments:   []string{"run", "--config", configFile},
		Option: service.KeyValue{
			// Without it nothing is restarted. Delay and period in the units kardianos/service takes them.
			"OnFailure":              "restart",
			"OnFailureDelayDuration": "2s",
			"OnFailureResetPeriod":   60,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("talking to the service manager: %w", err)
	}
	return svc, nil
}

func (w *windowsControl) Install(ctx context.Context) error {
	if _, err := w.svc.Status(); errors.Is(err, service.ErrNotInstalled) {
		if err := w.svc.Install(); err != nil {
			return withHint(fmt.Errorf("installing the service: %w", err), "run it in a console of the administrator")
		}
	} else if err != nil {
		return fmt.Errorf("asking for the service: %w", err)
	}
	if err := restartOnEveryFailure(); err != nil {
		return err
	}
	return w.Control(ctx, actionStart)
}

// restartOnEveryFailure makes the recovery apply also when the process reports an error and ends, not only when it
// crashes.
func restartOnEveryFailure() error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("setting the recovery of the service: %w", err)
	}
	defer func() { _ = m.Disconnect() }() // nothing is buffered in it
	s, err := m.OpenService(serviceName)
	if err != nil {
		return fmt.Errorf("setting the recovery of the service: %w", err)
	}
	defer func() { _ = s.Close() }() // nothing is buffered in it
	if err := s.SetRecoveryActionsOnNonCrashFailures(true); err != nil {
		return fmt.Errorf("setting the recovery of the service: %w", err)
	}
	return nil
}

func (w *windowsControl) Uninstall(ctx context.Context) error {
	// First, because a deleted service that still runs stays until the next start of the machine.
	if err := w.Control(ctx, actionStop); err != nil {
		return err
	}
	if err := w.svc.Uninstall(); err != nil {
		return fmt.Errorf("removing the service: %w", err)
	}
	return nil
}

func (w *windowsControl) Control(ctx context.Context, action serviceAction) error {
	status, err := w.svc.Status()
	if errors.Is(err, service.ErrNotInstalled) {
		return errNotInstalled
	}
	if err != nil {
		return fmt.Errorf("asking for the service: %w", err)
	}
	switch {
	case action == actionStart && status == service.StatusRunning, action == actionStop && status == service.StatusStopped:
		return nil
	case action == actionRestart && status == service.StatusStopped:
		action = actionStart
	}
	done := make(chan error, 1)
	go func() { done <- service.Control(w.svc, string(action)) }()
	select {
	case err = <-done:
	case <-ctx.Done(): // stopping waits for ever on a service that does not answer
		err = fmt.Errorf("the service did not %s in time: %w", action, context.Cause(ctx))
	}
	if err != nil {
		return withHint(err, "run it in a console of the administrator; the event log (source azs-agent) says why")
	}
	return nil
}

func (w *windowsControl) Status(context.Context) (serviceStatus, error) {
	status, err := w.svc.Status()
	switch {
	case errors.Is(err, service.ErrNotInstalled):
		return serviceStatus{State: stateAbsent, Hint: "run `azs-agent service install`"}, nil
	case err != nil:
		return serviceStatus{}, fmt.Errorf("asking for the service: %w", err)
	case status == service.StatusRunning:
		return serviceStatus{State: stateRunning, Enabled: true}, nil
	}
	return serviceStatus{State: stateStopped, Enabled: true, Hint: "azs-agent service start"}, nil
}
