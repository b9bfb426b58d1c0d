package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

const (
	serviceName = "trustlink"
	serviceLog  = "service.log" // in the state folder; begun anew at each start
	restartWait = 5 * time.Second
	calmAfter   = time.Hour // without a failure, after which the count of restarts begins anew
	stopTime    = 20 * time.Second
	stopLook    = 200 * time.Millisecond
)

// addService adds the commands by which Windows runs trustlink up.
func addService(root *cobra.Command, dir *string) {
	service := &cobra.Command{Use: "service", Short: "Have Windows run trustlink up as a service"}
	var o serviceOptions
	install := &cobra.Command{
		Use:   "install",
		Short: "Install the service and start it (as an administrator)",
		Long: "Installs a service that runs trustlink up --mode netstack with the state folder of now, starts it, and has\n" +
			"Windows start it again after a failure and with the machine. Its messages are in service.log in that folder.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return installService(c.OutOrStdout(), *dir, o) },
	}
	o.flags(install)
	remove := &cobra.Command{
		Use: "remove", Short: "Stop the service and remove it; keys and settings stay", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return removeService(c.Context()) },
	}
	run := &cobra.Command{
		Use: "run", Short: "What Windows calls", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return runService(state{*dir}, o) },
	}
	o.flags(run)
	service.AddCommand(install, remove, run)
	root.AddCommand(service)
}

// serviceOptions are those of trustlink up that the service knows.
type serviceOptions struct {
	forwards  []string
	renewOnly bool
}

func (o *serviceOptions) flags(c *cobra.Command) {
	c.Flags().StringArrayVar(&o.forwards, "forward", nil, "`LOCAL=REMOTE`, as of trustlink up")
	c.Flags().BoolVar(&o.renewOnly, "renew-only", false, "as of trustlink up")
}

func (o *serviceOptions) arguments() (all []string) {
	for _, f := range o.forwards {
		all = append(all, "--forward", f)
	}
	if o.renewOnly {
		all = append(all, "--renew-only")
	}
	return all
}

func installService(out io.Writer, dir string, o serviceOptions) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if _, err := (state{dir}).enrolled(); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	manager, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("ask the service manager (run this as an administrator): %w", err)
	}
	defer manager.Disconnect()
	arguments := append([]string{"service", "run", "--state", dir}, o.arguments()...)
	settings := mgr.Config{StartType: mgr.StartAutomatic, DisplayName: "trustlink",
		Description: "The office's end of the trust core", DelayedAutoStart: true}
	service, err := manager.CreateService(serviceName, program, settings, arguments...)
	if err != nil {
		return fmt.Errorf("install the service: %w", err)
	}
	defer service.Close()
	again := []mgr.RecoveryAction{{Type: mgr.ServiceRestart, Delay: restartWait}}
	if err := service.SetRecoveryActions(again, uint32(calmAfter.Seconds())); err != nil {
		return errors.Join(fmt.Errorf("have the service started again: %w", err), service.Delete())
	}
	if err := service.SetRecoveryActionsOnNonCrashFailures(true); err != nil {
		return errors.Join(fmt.Errorf("have the service started again: %w", err), service.Delete())
	}
	if err := service.Start(); err != nil {
		return fmt.Errorf("the service is installed and does not start: %w", err)
	}
	_, err = fmt.Fprintf(out, "the service %s runs; its messages are in %s\n", serviceName, filepath.Join(dir, serviceLog))
	return err
}

func removeService(ctx context.Context) error {
	manager, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("ask the service manager (run this as an administrator): %w", err)
	}
	defer manager.Disconnect()
	service, err := manager.OpenService(serviceName)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the service: %w", err)
	}
	defer service.Close()
	status, err := service.Control(svc.Stop)
	if errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return service.Delete()
	}
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	for err == nil && status.State != svc.Stopped {
		select {
		case <-ctx.Done():
			err = errors.New("it does not stop")
		case <-time.After(stopLook):
			status, err = service.Query()
		}
	}
	if err != nil {
		return fmt.Errorf("stop the service: %w", err)
	}
	return service.Delete()
}

// runService is the process that Windows started.
func runService(s state, o serviceOptions) error {
	if is, err := svc.IsWindowsService(); err != nil || !is {
		return errors.Join(errors.New("this is for Windows to call; by hand it is trustlink up"), err)
	}
	log, err := os.OpenFile(s.path(serviceLog), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	return svc.Run(serviceName, handler{s.dir, o, log})
}

// handler runs trustlink up between Windows' start and its stop.
type handler struct {
	dir     string
	options serviceOptions
	log     io.Writer
}

// Execute implements svc.Handler.
func (h handler) Execute(_ []string, asked <-chan svc.ChangeRequest, said chan<- svc.Status) (specific bool, code uint32) {
	said <- svc.Status{State: svc.StartPending}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	command := newCommand()
	command.SetArgs(append([]string{"up", "--mode", "netstack", "--state", h.dir}, h.options.arguments()...))
	command.SetOut(h.log)
	command.SetErr(h.log)
	ended := make(chan error, 1)
	go func() { ended <- command.ExecuteContext(ctx) }()
	said <- svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
	for {
		select {
		case err := <-ended:
			if err != nil {
				fmt.Fprintln(h.log, "trustlink:", err)
				return true, 1
			}
			return false, 0
		case request := <-asked:
			switch request.Cmd {
			case svc.Interrogate:
				said <- request.CurrentStatus
			case svc.Stop, svc.Shutdown:
				said <- svc.Status{State: svc.StopPending}
				cancel()
			}
		}
	}
}
