// Command docket is the whole of Docket in one binary: the ledger server, the
// tools of an authority and of a provider, the offline verifier and the auditor.
//
// Results go to stdout, talk to stderr. Exit status: 0 done, 1 refused or
// failed, 2 misused, 3 not yet: run the same command again (DESIGN.md section 8).
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

func main() { os.Exit(runMain()) }

// gcPercent is the heap growth, in percent, at which Go collects garbage, unless GOGC
// is set. A ledger uses little memory (15 MB at a thousand records a second) and
// allocates much: at Go's default of 100 it collected seven times a second, and records
// waited for a core each time. It costs about 200 MB more for a million entries.
const gcPercent = 400

// extraThreads is added to GOMAXPROCS unless that is set. A thread that waits for fsync
// counts as running until the runtime notices, which takes about as long as the fsync.
// With one more, a witness of eight logs was measured to cosign 1.2 times as often, and
// POST to take 1.1 times as many records.
const extraThreads = 1

// runMain is main with a status to return, so that scripted tests can call it.
func runMain() int {
	if os.Getenv("GOGC") == "" { // the user's setting wins
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + extraThreads)
	}
	cobra.EnableCommandSorting = false // help prints the verbs in their own order
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}
	if f, ok := a.err.(*os.File); ok {
		a.tty = term.IsTerminal(int(f.Fd()))
	}
	return a.run(ctx, os.Args[1:])
}

// diskFailed ends the process after a write whose outcome is unknown: nobody knows what is
// on the disk then, and what runs beside it must not go on. Deferred calls do not run.
func (a *app) diskFailed(reason string) {
	fmt.Fprintf(a.err, "docket: %s\nhint: %s\n", reason, "what was there before is there still, and this says nothing about the ledger: make room on that disk, or look after it, and run the same command again")
	os.Exit(exitRefused)
}

// endFailed is diskFailed where the log was told why.
func endFailed(string) { os.Exit(exitRefused) }

// app is what every verb shares: the streams it talks through and the
// environment that it may read. No package below cmd reads either.
type app struct {
	in             io.Reader
	out, err       io.Writer
	asJSON         bool // the command line says --json: failures are told as JSON too
	tty            bool // err is a terminal: progress may be drawn, questions asked
	getenv         func(string) string
	warnedPolicies []string        // about policies, once each
	warnedKeyFiles []string        // key files warned of, likewise
	prompt         *terminalPrompt // made by the first question; nil before it
}

// run executes one command line and returns its exit status.
func (a *app) run(ctx context.Context, args []string) (status int) {
	out := &output{to: a.out}
	a.out = out
	defer func() {
		if why := recover(); why != nil {
			status = a.reportError(a.broken(why))
		}
	}()
	root := a.rootCmd()
	root.SetArgs(args)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		err = mistypedVerb(c)
	}
	return a.reportError(out.whole(err))
}

// traceEnv is Go's own variable: a user who sets it wants the stack trace.
const traceEnv = "GOTRACEBACK"

// broken words a panic: a fault of this program, which no flag and no file can mend.
func (a *app) broken(why any) error {
	if a.getenv(traceEnv) != "" {
		panic(why)
	}
	if err, ok := why.(error); ok && ofMachine(err) {
		return err // Pebble panics where it could not say what is on the disk
	}
	return refusal("a fault of docket itself, and of nothing that it was given: %v", why).hint("please report it with the command line and docket version; %s=all shows where", traceEnv)
}

// Groups of verbs, in the order in which help prints them.
var groups = []cobra.Group{
	{ID: "start", Title: "Start here:"},
	{ID: "write", Title: "Write and submit records (authorities, providers):"},
	{ID: "read", Title: "Verify and read (anyone):"},
	{ID: "operate", Title: "Operate a ledger:"},
}

func (a *app) rootCmd() *cobra.Command {
	var version bool
	root := &cobra.Command{
		Use:   "docket",
		Short: "A transparency ledger for restrictions on cloud infrastructure",
		Long: `Docket is a public, append-only ledger of restrictions on cloud infrastructure.
An authority records whom it restricts; providers record, signed, what they did
about it; anyone can check offline that nothing was changed, hidden or back-dated.

Results go to stdout, everything else to stderr; beside --json a failure is one JSON
object there: detail, hint, exit, and what a server or a rule says of it (problem, faults).
Exit status: 0 done, 1 refused or failed, 2 misused, 3 not yet (run the same command again).`,
		Example: `  docket demo --once                                   # the whole thing on loopback, in a few seconds
  docket verify --trust trust response.tlog-proof      # check a receipt, offline`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noSubcommand,
		RunE: func(c *cobra.Command, _ []string) error {
			if version {
				return a.printVersion(false)
			}
			return c.Help()
		},
	}
	root.Flags().BoolVar(&version, "version", false, "print what docket version prints")
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		if mistyped := mistypedVerb(c); mistyped != nil { // whose flags these are is unknown
			return mistyped
		}
		return usageErrorOf(c, "%v%s", err, nearestFlag(c, err))
	})
	help := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		if mistypedVerb(c) == nil { // else run says what is wrong, and no other verb's help hides it
			help(c, args)
		}
	})
	for i := range groups {
		root.AddGroup(&groups[i])
	}
	for _, v := range commands {
		c := v.make(a)
		c.GroupID = v.group
		root.AddCommand(c)
	}
	root.SetHelpCommandGroupID("start")
	root.SetCompletionCommandGroupID("operate")
	root.InitDefaultCompletionCmd() // now: what holds for every verb holds for it
	root.InitDefaultHelpCmd()
	if c, _, err := root.Find([]string{"help"}); err == nil {
		c.Args = helpTopic
	}
	root.Annotations = map[string]string{verbsOnly: ""} // alone it answers with its help
	requireSubcommand(root)
	a.wrapArgErrors(root)
	return root
}

// verbsOnly marks a command that only has verbs below it.
const verbsOnly = "verbs only"

// requireSubcommand makes every command that only has verbs below it want one of them.
func requireSubcommand(c *cobra.Command) {
	if c.HasSubCommands() && !c.Runnable() {
		c.Annotations = map[string]string{verbsOnly: ""}
		c.Args = noSubcommand
		c.RunE = func(c *cobra.Command, _ []string) error {
			c.SetOut(c.ErrOrStderr())
			c.Help()
			return usageError("%s needs a verb", c.CommandPath())
		}
	}
	for _, sub := range c.Commands() {
		requireSubcommand(sub)
	}
}

// helpTopic refuses to help with a verb that is none.
func helpTopic(c *cobra.Command, args []string) error {
	topic, rest, err := c.Root().Find(args)
	if err != nil {
		return err
	}
	return noSubcommand(topic, rest)
}

// mistypedVerb is the refusal of what follows a command that only has verbs below it, where
// --help, or a flag that only the verb meant has, keeps cobra from looking at it.
func mistypedVerb(c *cobra.Command) error {
	if _, only := c.Annotations[verbsOnly]; !only { // docket commit takes arguments and has a verb
		return nil
	}
	return noSubcommand(c, c.Flags().Args())
}

// nearestFlag is `; did you mean "--trust"?` where an unknown flag is near to one of the
// verb's; else "".
func nearestFlag(c *cobra.Command, err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return ""
	}
	written, _, _ := strings.Cut(cmp.Or(unknown.GetSpecifiedShortnames(), unknown.GetSpecifiedName()), "=")
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	nearest := schema.Nearest(written, names)
	if nearest == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", "--"+nearest)
}

// noSubcommand refuses what follows a command that only has verbs below it.
func noSubcommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var verbs []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			verbs = append(verbs, sub.Name())
		}
	}
	return usageError("%s has no verb %q%s", c.CommandPath(), args[0], schema.DidYouMean(args[0], verbs)).hint("%s --help", c.CommandPath())
}

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
	{"write", (*app).commit},
	{"write", (*app).sign},
	{"write", (*app).merge},
	{"write", (*app).submit},
	{"write", (*app).receipt},
	{"write", (*app).importCmd},
	{"read", (*app).trust},
	{"read", (*app).sync},
	{"read", (*app).verify},
	{"read", (*app).show},
	{"read", (*app).search},
	{"read", (*app).browse},
	{"read", (*app).list},
	{"read", (*app).duties},
	{"read", (*app).screen},
	{"read", (*app).diff},
	{"read", (*app).export},
	{"read", (*app).follow},
	{"read", (*app).audit},
	{"read", (*app).policy},
	{"operate", (*app).init},
	{"operate", (*app).serve},
	{"operate", (*app).backup},
	{"operate", (*app).restore},
	{"operate", (*app).fsck},
	{"operate", (*app).doctor},
	{"operate", (*app).store},
	{"operate", (*app).withhold},
	{"operate", (*app).witness},
	{"operate", (*app).customers},
	{"operate", (*app).bench},
	{"operate", (*app).version},
}

// wrapArgErrors makes wrong arguments, missing flags and flags that exclude each
// other exit 2 everywhere, not 1, in words of ours.
func (a *app) wrapArgErrors(c *cobra.Command) {
	check := c.Args
	c.Args = func(c *cobra.Command, args []string) error {
		if c.Flags().Lookup("json") != nil { // what follows may fail already
			a.asJSON, _ = c.Flags().GetBool("json")
		}
		for _, err := range []error{checkArgs(check, c, args), c.ValidateRequiredFlags(), c.ValidateFlagGroups()} {
			var own *failure
			if errors.As(err, &own) {
				return err
			} else if err != nil {
				return usageErrorOf(c, "%s", usageErrorText(c, args, err.Error()))
			}
		}
		return nil
	}
	for _, sub := range c.Commands() {
		a.wrapArgErrors(sub)
	}
}

func checkArgs(check cobra.PositionalArgs, c *cobra.Command, args []string) error {
	if check == nil {
		return nil
	}
	return check(c, args)
}

// usageErrorOf is exit 2 with the verb's usage.
func usageErrorOf(c *cobra.Command, format string, args ...any) *failure {
	use := c.Use
	if c.HasParent() {
		use = c.Parent().CommandPath() + " " + use
	}
	return usageError(format, args...).hint("%s; %s --help tells more", use, c.CommandPath())
}

// notNegative refuses durations below zero, which would be taken for none.
func notNegative(c *cobra.Command, flags ...string) error {
	for _, name := range flags {
		if d, err := c.Flags().GetDuration(name); err != nil {
			return err
		} else if d < 0 {
			return usageError("--%s %s: want a duration that is not negative", name, d)
		}
	}
	return nil
}

// idle refuses flags that were given on the command line and would have no effect there:
// whoever gave one expects what it says. when is the rest of that sentence. What the
// environment says is a default, and never refused.
func idle(c *cobra.Command, when string, flags ...string) error {
	for _, name := range flags {
		if c.Flags().Changed(name) {
			return usageErrorOf(c, "--%s has no effect %s", name, when)
		}
	}
	return nil
}

// What cobra says of a command line: it exports no types that would tell these apart.
// TestUsage keeps watch that it says nothing else.
var (
	wrongArgCount    = regexp.MustCompile(`^(accepts|requires) .*arg\(s\)`)
	noArgsWanted     = regexp.MustCompile(`^unknown command (".*") for ".*"$`)
	flagsMissing     = regexp.MustCompile(`^required flag\(s\) (.*) not set$`)
	oneFlagMissing   = regexp.MustCompile(`^at least one of the flags in the group \[(.*)\] is required$`)
	flagsNotTogether = regexp.MustCompile(`^if any flags in the group \[(.*)\] are set they must all be set; missing \[(.*)\]$`)
	flagsExclusive   = regexp.MustCompile(`^if any flags in the group \[.*\] are set none of the others can be; \[(.*)\] were all set$`)
)

// usageErrorText says in our words what cobra found.
func usageErrorText(c *cobra.Command, args []string, theirs string) string {
	words := func(re *regexp.Regexp, group int, last string) string {
		return flagNames(re.FindStringSubmatch(theirs)[group], last)
	}
	switch verb := c.CommandPath(); {
	case wrongArgCount.MatchString(theirs) && len(args) == 0:
		return fmt.Sprintf("%s wants %s", verb, wantedArgs(c.Use))
	case wrongArgCount.MatchString(theirs):
		return fmt.Sprintf("%s wants %s; got %s", verb, wantedArgs(c.Use), strings.Join(args, " "))
	case noArgsWanted.MatchString(theirs):
		return fmt.Sprintf("%s takes flags only; got %s", verb, noArgsWanted.FindStringSubmatch(theirs)[1])
	case flagsMissing.MatchString(theirs):
		return fmt.Sprintf("%s needs %s", verb, words(flagsMissing, 1, "and"))
	case oneFlagMissing.MatchString(theirs):
		return fmt.Sprintf("%s needs %s", verb, words(oneFlagMissing, 1, "or"))
	case flagsNotTogether.MatchString(theirs):
		return fmt.Sprintf("%s go together; without %s", words(flagsNotTogether, 1, "and"), words(flagsNotTogether, 2, "and"))
	case flagsExclusive.MatchString(theirs):
		return fmt.Sprintf("%s exclude each other", words(flagsExclusive, 1, "and"))
	}
	return theirs
}

// flagNames writes a list of cobra's, of names with or without quotes, as flags.
func flagNames(list, last string) string {
	names := strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' || r == '"' })
	for i := range names {
		names[i] = "--" + names[i]
	}
	return joinWords(names, last)
}

// flagsInUsage are the flags of a usage line, alone or with their value, and groups of them.
var flagsInUsage = regexp.MustCompile(`\[--[^\]]*\]|\(--[^)]*\)|--\S+( [A-Z]\S*)?`)

// wantedArgs are the arguments that a usage line names.
func wantedArgs(use string) string {
	_, rest, _ := strings.Cut(use, " ")
	return strings.Join(strings.Fields(flagsInUsage.ReplaceAllString(rest, "")), " ")
}
