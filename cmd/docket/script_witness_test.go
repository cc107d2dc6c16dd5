package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// askWitness asks the witness at a URL to cosign what the ledger at $URL shows, from
// an old size on and with no proof, and prints its answer: ask-witness WITNESS OLD.
// With a directory as a third argument, the log whose keys are there signs another tree
// of that size.
func askWitness(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: ask-witness WITNESS OLD [DIR]")
	}
	old, err := strconv.ParseUint(args[1], 10, 64)
	ts.Check(err)
	log, err := wire.NewLog(ts.Getenv("URL"), nil)
	ts.Check(err)
	note, err := log.Checkpoint(context.Background())
	ts.Check(err)
	if len(args) == 3 {
		cp, _, err := proof.ParseCheckpoint(note)
		ts.Check(err)
		keys, err := node.LoadKeys(ts.MkAbs(args[2]))
		ts.Check(err)
		cp.Root[0] ^= 1
		signed, err := proof.SignCheckpoint(cp, keys.Signers...)
		ts.Check(err)
		note = signed.Note()
	}
	res, err := http.Post(args[0]+"/add-checkpoint", "text/plain", bytes.NewReader(wire.AddCheckpoint{Old: old, Note: note}.Format()))
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d\n%s", res.StatusCode, body)
}
