package main

import (
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// processSignals are those that happen to a process.
var processSignals = map[string]syscall.Signal{"STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT, "KILL": syscall.SIGKILL}

// sendSignal sends one to what start started. One that is killed has ended.
func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 || processSignals[args[1]] == 0 {
		ts.Fatalf("usage: signal NAME STOP|CONT|KILL")
	}
	all := ts.Value(processesKey{}).(processes)
	p := all[args[0]]
	ts.Check(p.cmd.Process.Signal(processSignals[args[1]]))
	if args[1] == "KILL" {
		delete(all, args[0])
		p.end()
	}
}

// ended waits until what start started has ended by itself, with status 0.
func ended(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ended NAME")
	}
	all := ts.Value(processesKey{}).(processes)
	p := all[args[0]]
	delete(all, args[0])
	if err := p.end(); err != nil {
		ts.Fatalf("%s ended with %v:\n%s", args[0], err, ts.ReadFile(args[0]+".log"))
	}
}
