package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// wrapArgErrors makes wrong arguments, missing flags and flags that exclude each
// other exit 2 everywhere, not 1, in words of ours.
func wrapArgErrors(c *cobra.Command) {
	check := c.Args
	c.Args = func(c *cobra.Command, args []string) error {
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
		wrapArgErrors(sub)
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
