package main

import (
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-53cf897a/docket/ledger/customers/vault"
)

// authorityKey makes the key of age that bundles are encrypted to: its secret half in a file,
// the public one in $RECIPIENT.
func authorityKey(ts *testscript.TestScript, _ bool, args []string) {
	file, recipient, err := vault.NewIdentity()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), file, 0o600))
	ts.Setenv("RECIPIENT", recipient)
}

// hangUp is SIGHUP to what start started, and waits until it says that its vault is locked.
func hangUp(ts *testscript.TestScript, _ bool, args []string) {
	all := ts.Value(processesKey{}).(processes)
	ts.Check(all[args[0]].cmd.Process.Signal(syscall.SIGHUP))
	awaitWords(ts, args[0], `"reason":"SIGHUP"`)
}

// says waits until what start started has said some words in its log.
func says(ts *testscript.TestScript, _ bool, args []string) { awaitWords(ts, args[0], args[1]) }

func awaitWords(ts *testscript.TestScript, name, words string) {
	for !strings.Contains(ts.ReadFile(name+".log"), words) {
		time.Sleep(5 * time.Millisecond) // the test's own deadline ends it
	}
}

// alter changes one bit in the middle of a file, which may be read only.
func alter(ts *testscript.TestScript, _ bool, args []string) {
	raw := []byte(ts.ReadFile(args[0]))
	raw[len(raw)/2] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), raw, 0o600))
}
