package main

import "github.com/spf13/cobra"

// verbs are the commands of the binary, each in a file of its own name, in the
// order in which help prints them.
var verbs = []struct {
	group string
	make  func(*app) *cobra.Command
}{
	{"start", (*app).demo},
	{"operate", (*app).keygen},
	{"operate", (*app).init},
	{"operate", (*app).serve},
	{"operate", (*app).bench},
	{"operate", (*app).version},
}
