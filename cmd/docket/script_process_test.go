package main

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// process is one that a script started: docket serve, docket witness serve.
type process struct {
	cmd *exec.Cmd
	log *os.File
}

// processes are those of one script, by name.
type processes map[string]process

// processesKey finds them among the script's values.
type processesKey struct{}

// start starts a command that serves, and waits until it says where: that URL is
// then in the variable of that name. What it says to stderr goes to NAME.log.
func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME COMMAND…")
	}
	name := args[0]
	log, err := os.Create(ts.MkAbs(name + ".log"))
	ts.Check(err)
	p := process{exec.Command(args[1], args[2:]...), log}
	p.cmd.Dir, p.cmd.Stderr = ts.MkAbs("."), log
	out, err := p.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(p.cmd.Start())
	all := ts.Value(processesKey{}).(processes)
	all[name] = p
	ts.Defer(func() {
		if all[name] == p {
			p.cmd.Process.Kill()
			p.end()
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		ts.Fatalf("%s does not serve:\n%s", name, ts.ReadFile(name+".log"))
	}
	ts.Setenv(name, strings.TrimSpace(line))
}

// end is SIGTERM to what start started, after which it ends by itself, with status 0.
func end(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: end NAME")
	}
	all := ts.Value(processesKey{}).(processes)
	p := all[args[0]]
	delete(all, args[0])
	ts.Check(p.cmd.Process.Signal(syscall.SIGTERM))
	if err := p.end(); err != nil {
		ts.Fatalf("%s ended with %v:\n%s", args[0], err, ts.ReadFile(args[0]+".log"))
	}
}

func (p process) end() error {
	defer p.log.Close()
	return p.cmd.Wait()
}
