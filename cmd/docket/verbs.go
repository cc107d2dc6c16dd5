package main

import "github.com/spf13/cobra"

// commands are the commands of the binary, each in a file of its own name, in the
// order in which help prints them.
var commands = []struct {
	group string
	make  func(*app) *cobra.Command
}{
	{"start", (*app).demo},
	{"start", (*app).keygen},
	{"write", (*app).new},
	{"write", (*app).schema},
	{"write", (*app).sign},
	{"write", (*app).merge},
	{"write", (*app).submit},
	{"write", (*app).receipt},
	{"write", (*app).importCmd},
	{"read", (*app).trust},
	{"read", (*app).sync},
	{"read", (*app).verify},
	{"read", (*app).show},
	{"read", (*app).list},
	{"read", (*app).duties},
	{"read", (*app).diff},
	{"read", (*app).audit},
	{"read", (*app).policy},
	{"operate", (*app).init},
	{"operate", (*app).serve},
	{"operate", (*app).witness},
	{"operate", (*app).bench},
	{"operate", (*app).version},
}
