package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/listexport"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// exportFormats are what docket export writes.
var exportFormats = []struct {
	name, short, long string
	begin             func(io.Writer, listexport.Source) listexport.Writer
	listedAlone       bool // who is on no list any more is not in it
}{
	{"csl", "Write designations in the Consolidated Screening List's columns", `Writes those that are announced, in force or suspended, a row each, in the 29 columns of
the U.S. Consolidated Screening List (CSV). docket import csl --individuals of what it wrote
finds nothing to do in the same register: what was designated here stands under a source of
its own, "(LEDGER)", by its name, what came from OFAC's own files under "(OFAC-SDN)" and
"(OFAC-CONS)"; the import knows these again, and leaves them out.

The columns cannot hold the type of an alias, or that it is weak; the parts of an
address; a semicolon in a name or an address, which becomes a comma; role, conditions,
findings, scope, LEI, networks and domains. No cell is changed for a spreadsheet's sake:
one may begin like a formula.`, listexport.NewCSL, true},
	{"csv", "Write designations as a table for a spreadsheet", `Writes a table (RFC 4180), a row a designation, with every field that the register has,
of those that are revoked or expired too (docket export csl leaves them out): the column
status tells, --status chooses. It begins with a byte order mark, as each table that docket
makes for a spreadsheet: without it some show names in other scripts as garbage. Programs
read docket export json.

Columns are named as in JSON, the parts of an object with a dot between (target.name);
firstDay is the first day in force, which of an imported one may be that of its admission.
In a list of texts or numbers a semicolon and a blank stand between two, and a
semicolon or backslash in a text has a backslash before it; a list of objects is JSON. A
cell that a spreadsheet would take for a formula (it begins with one of = + - @) has an
apostrophe before it. asOf and checkpoint say as of which day and of which tree it is.`, listexport.NewCSV, false},
	{"json", "Write designations as JSON lines", `Writes one JSON object a line and designation, revoked and expired ones too, with every
field that the register has:
what docket list designations --json prints, under "designation" all that its records say
with every amendment, and asOf and checkpoint, the day and the tree that it is of.`, listexport.NewJSON, false},
	{"ftm", "Write designations as FollowTheMoney entities", `Writes FollowTheMoney entities (https://followthemoney.tech), one JSON object a line: of
each designation, revoked and expired ones too, its target, its addresses, and a Sanction.
Whose designation is in force or suspended has the topic "sanction"; who is announced has
none before the first day, since readers act on the topic and look at no date. What the model has no property
for stands under "docket" in the Sanction, where docket export json's line is whole.`, listexport.NewFTM, false},
}

func (a *app) export() *cobra.Command {
	c := &cobra.Command{
		Use:   "export csl | csv | json | ftm",
		Short: "Write the designations for other programs, from the replayed copy",
	}
	for i := range exportFormats {
		c.AddCommand(a.exportAs(i))
	}
	return c
}

// exportAs is the verb of one format.
func (a *app) exportAs(i int) *cobra.Command {
	format := exportFormats[i]
	c := &cobra.Command{
		Use:   format.name,
		Short: format.short,
		Long: format.long + `

They are in the order of their threads; the same copy gives the same bytes for the same
day. stderr names the checkpoint that they rest on. --out writes a file, whole or not at
all, and overwrites none that has other content.`,
		Example: fmt.Sprintf(`  docket export %[1]s --trust trust > designations
  docket export %[1]s --trust trust --list csl-el --at 2027-06-01 --out designations`, format.name),
		Args: cobra.NoArgs,
	}
	x := exportRun{q: &queryFlags{app: a, trust: a.trustFlags(c)}}
	f := c.Flags()
	f.StringVar(&x.q.at, "at", "", "as they stand at an instant (2027-06-01T00:00:00Z), or at the end of a date (2027-06-01) in the charter's time zone; default now")
	f.StringVar(&x.q.size, "size", "", "as the first N entries have it; default all that the copy has")
	f.StringVar(&x.status, "status", "", joinTexts(view.Statuses))
	f.StringVar(&x.filter.List, "list", "", "imported from this list")
	f.StringVar(&x.out, "out", "", "write this file; default standard output")
	c.MarkFlagFilename("out")
	c.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(toStrings(view.Statuses), cobra.ShellCompDirectiveNoFileComp))
	x.begin = format.begin
	x.listedAlone = format.listedAlone
	c.RunE = func(*cobra.Command, []string) error { return x.run() }
	return c
}

// exportRun is one run of docket export.
type exportRun struct {
	q           *queryFlags
	begin       func(io.Writer, listexport.Source) listexport.Writer
	listedAlone bool
	status, out string
	filter      view.DesignationFilter
}

func (x *exportRun) run() (err error) {
	if x.filter.Status, err = oneOf("status", x.status, view.Statuses); err != nil {
		return err
	}
	r, err := x.q.open()
	if err != nil {
		return err
	}
	defer r.trust.Close()
	tree, err := x.q.source(r, r.View, r.at)
	if err != nil {
		return err
	}
	source, n, over := listexport.Source{Source: tree, Day: r.LocalDate(r.at), Ahead: x.q.ahead}, 0, 0
	write := func(w io.Writer) (err error) {
		n, over, err = x.write(w, r, source)
		return err
	}
	if x.out == "" {
		err = write(x.q.app.out)
	} else {
		err = neverOverwritten(disk.StreamNew(vfs.Default, x.out, 0o644, disk.SyncNow, write))
	}
	if err != nil {
		return err
	}
	said := plural(n, "designation")
	if over > 0 && x.filter.Status == "" {
		said += fmt.Sprintf(", %d of them revoked or expired", over)
	}
	said += ", as of the checkpoint " + source.Checkpoint()
	if x.out != "" {
		x.q.app.printf("%s: %s\n", printable(x.out), said)
	} else {
		x.q.app.logf("%s", said)
	}
	if n == 0 {
		x.q.app.logf("hint: other --status, --at or --list may have some; docket sync fetches newer ones")
	}
	return nil
}

// write writes the designations that were asked for, and counts them.
func (x *exportRun) write(to io.Writer, r *copyView, source listexport.Source) (n, over int, err error) {
	bar := x.q.app.progress("exporting", -1)
	defer bar.Finish()
	out := bufio.NewWriter(to)
	w, failed := x.begin(out, source), error(nil)
	err = r.WholeDesignations(x.filter, r.at, func(d view.WholeDesignation) bool {
		ended := d.Status == view.StatusRevoked || d.Status == view.StatusExpired
		if x.listedAlone && x.filter.Status == "" && (ended || d.Status == view.StatusNone) {
			return true
		}
		n++
		if ended {
			over++
		}
		bar.Add(1)
		failed = w.Add(d)
		return failed == nil
	})
	return n, over, cmp.Or(err, failed, w.Close(), out.Flush())
}
