package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

// serviceNames are those that are file names as well.
var serviceNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`)

// addService adds the commands by which Windows runs trustlink up, and hot folders.
func addService(root *cobra.Command, dir *string) {
	service := &cobra.Command{Use: "service", Short: "Have Windows run trustlink up, or a hot folder, as a service"}
	var o serviceOptions
	install := &cobra.Command{
		Use:   "install [-- hotfolder run --in FOLDER --out FOLDER]",
		Short: "Install the service and start it (as an administrator)",
		Long: "Installs a service that runs trustlink up --mode netstack with the state folder of now, starts it, and has\n" +
			"Windows start it again after a failure and with the machine. Its messages are in service.log in that folder.\n\n" +
			"Behind -- the command of a hot folder installs a service for that, beside the one for trustlink up. Each hot folder\n" +
			"has a --name of its own; its messages are in NAME.log:\n\n" +
			"  trustlink service install --name trustlink-ezd -- hotfolder run --in D:\\ezd\\in --out D:\\ezd\\out",
		RunE: func(c *cobra.Command, args []string) error { return installService(c.OutOrStdout(), *dir, o, args) },
	}
	o.flags(install)
	remove := &cobra.Command{
		Use: "remove", Short: "Stop the service and remove it; keys and settings stay", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return removeService(c.Context(), o.name) },
	}
	o.nameFlag(remove)
	run := &cobra.Command{
		Use: "run [-- hotfolder run --in FOLDER --out FOLDER]", Short: "What Windows calls",
		RunE: func(_ *cobra.Command, args []string) error { return runService(state{*dir}, o, args) },
	}
	o.flags(run)
	service.AddCommand(install, remove, run)
	root.AddCommand(service)
}

// serviceOptions are those of trustlink up that the service knows.
type serviceOptions struct {
	name      string
	forwards  []string
	renewOnly bool
}

func (o *serviceOptions) nameFlag(c *cobra.Command) {
	c.Flags().StringVar(&o.name, "name", serviceName, "`name` of the service; a hot folder needs another one")
}

func (o *serviceOptions) flags(c *cobra.Command) {
	o.nameFlag(c)
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

// check holds a service's name to what is also a file's, and a hot folder to a name of its own.
func (o *serviceOptions) check(args []string) error {
	switch {
	case !serviceNames.MatchString(o.name):
		return fmt.Errorf("--name: %q: write letters, digits and hyphens", o.name)
	case len(args) > 0 && o.name == serviceName:
		return fmt.Errorf("--name: %s is the service of trustlink up: give the hot folder another one", serviceName)
	case len(args) > 0 && (len(o.forwards) > 0 || o.renewOnly):
		return errors.New("--forward and --renew-only are for the service of trustlink up")
	}
	return nil
}

// logFile is where a service's messages are.
func (o *serviceOptions) logFile() string {
	if o.name == serviceName {
		return serviceLog
	}
	return o.name + ".log"
}

// command is what the service runs.
func (o *serviceOptions) command(dir string, args []string) ([]string, error) {
	if len(args) == 0 {
		return append([]string{"up", "--mode", "netstack", "--state", dir}, o.arguments()...), nil
	}
	arguments, _, err := hotfolderService(dir, args)
	return arguments, err
}

func installService(out io.Writer, dir string, o serviceOptions, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if _, err := (state{dir}).enrolled(); err != nil {
		return err
	}
	if args, err = o.behind(dir, args); err != nil {
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
	arguments := slices.Concat([]string{"service", "run", "--state", dir, "--name", o.name}, o.arguments(), args)
	settings := mgr.Config{StartType: mgr.StartAutomatic, DisplayName: o.name,
		Description: "The office's end of the trust core", DelayedAutoStart: true}
	service, err := manager.CreateService(o.name, program, settings, arguments...)
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
	_, err = fmt.Fprintf(out, "the service %s runs; its messages are in %s\n", o.name, filepath.Join(dir, o.logFile()))
	return err
}

// behind is what Windows is to give the service behind --, with paths that hold from anywhere.
func (o *serviceOptions) behind(dir string, args []string) ([]string, error) {
	if len(args) == 0 {
		return nil, nil
	}
	command, err := o.command(dir, args)
	if err != nil {
		return nil, err
	}
	return append([]string{"--", "hotfolder", "run"}, command[4:]...), nil // the state is named before
}

func removeService(ctx context.Context, name string) error {
	manager, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("ask the service manager (run this as an administrator): %w", err)
	}
	defer manager.Disconnect()
	service, err := manager.OpenService(name)
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
func runService(s state, o serviceOptions, args []string) error {
	if is, err := svc.IsWindowsService(); err != nil || !is {
		return errors.Join(errors.New("this is for Windows to call; by hand it is trustlink up or trustlink hotfolder run"), err)
	}
	if err := o.check(args); err != nil {
		return err
	}
	command, err := o.command(s.dir, args)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(s.path(o.logFile()), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	return svc.Run(o.name, handler{command, log})
}

// handler runs a command between Windows' start and its stop.
type handler struct {
	arguments []string
	log       io.Writer
}

// Execute implements svc.Handler.
func (h handler) Execute(_ []string, asked <-chan svc.ChangeRequest, said chan<- svc.Status) (specific bool, code uint32) {
	said <- svc.Status{State: svc.StartPending}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	command := newCommand()
	command.SetArgs(h.arguments)
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
