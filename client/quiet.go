package client

import (
	"fmt"
	"os"
)

// quiet is Pebble's voice in a copy: nobody asked to hear it. Once it cannot know
// what is on the disk it must not go on; a copy comes back by replay.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}

func (quiet) Fatalf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "docket: the disk failed under the copy, which says nothing about the ledger: %s\nhint: run the same command again: what is damaged is made anew\n", fmt.Sprintf(format, args...))
	os.Exit(1) // from a goroutine of Pebble's, under which nobody could recover
}
