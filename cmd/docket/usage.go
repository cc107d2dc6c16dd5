package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// misusedArgs makes wrong arguments, missing flags and flags that exclude each
// other exit 2 everywhere, not 1, in words of ours.
func misusedArgs(c *cobra.Command) {
	check := c.Args
	c.Args = func(c *cobra.Command, args []string) error {
		for _, err := range []error{checkArgs(check, c, args), c.ValidateRequiredFlags(), c.ValidateFlagGroups()} {
			var own *failure
			if errors.As(err, &own) {
				return err
			} else if err != nil {
				return misused(c, "%s", reworded(c, args, err.Error()))
			}
		}
		return nil
	}
	for _, sub := range c.Commands() {
		misusedArgs(sub)
	}
}

func checkArgs(check cobra.PositionalArgs, c *cobra.Command, args []string) error {
	if check == nil {
		return nil
	}
	return check(c, args)
}

// misused is exit 2 with the verb's usage.
func misused(c *cobra.Command, format string, args ...any) *failure {
	use := c.Use
	if c.HasParent() {
		use = c.Parent().CommandPath() + " " + use
	}
	return misuse(format, args...).hint("%s; %s --help tells more", use, c.CommandPath())
}

// idle refuses flags that were given on the command line and would have no effect there:
// whoever gave one expects what it says. when is the rest of that sentence. What the
// environment says is a default, and never refused.
func idle(c *cobra.Command, when string, flags ...string) error {
	for _, name := range flags {
		if c.Flags().Changed(name) {
			return misused(c, "--%s has no effect %s", name, when)
		}
	}
	return nil
}

// What cobra says of a command line: it exports no types that would tell these apart.
// TestUsage keeps watch that it says nothing else.
var (
	wrongNumber  = regexp.MustCompile(`^(accepts|requires) .*arg\(s\)`)
	noneWanted   = regexp.MustCompile(`^unknown command (".*") for ".*"$`)
	flagsMissing = regexp.MustCompile(`^required flag\(s\) (.*) not set$`)
	oneMissing   = regexp.MustCompile(`^at least one of the flags in the group \[(.*)\] is required$`)
	notTogether  = regexp.MustCompile(`^if any flags in the group \[(.*)\] are set they must all be set; missing \[(.*)\]$`)
	excluding    = regexp.MustCompile(`^if any flags in the group \[.*\] are set none of the others can be; \[(.*)\] were all set$`)
)

// reworded says in our words what cobra found.
func reworded(c *cobra.Command, args []string, theirs string) string {
	words := func(re *regexp.Regexp, group int, last string) string {
		return flagNames(re.FindStringSubmatch(theirs)[group], last)
	}
	switch verb := c.CommandPath(); {
	case wrongNumber.MatchString(theirs) && len(args) == 0:
		return fmt.Sprintf("%s wants %s", verb, wanted(c.Use))
	case wrongNumber.MatchString(theirs):
		return fmt.Sprintf("%s wants %s; got %s", verb, wanted(c.Use), strings.Join(args, " "))
	case noneWanted.MatchString(theirs):
		return fmt.Sprintf("%s takes flags only; got %s", verb, noneWanted.FindStringSubmatch(theirs)[1])
	case flagsMissing.MatchString(theirs):
		return fmt.Sprintf("%s needs %s", verb, words(flagsMissing, 1, "and"))
	case oneMissing.MatchString(theirs):
		return fmt.Sprintf("%s needs %s", verb, words(oneMissing, 1, "or"))
	case notTogether.MatchString(theirs):
		return fmt.Sprintf("%s go together; without %s", words(notTogether, 1, "and"), words(notTogether, 2, "and"))
	case excluding.MatchString(theirs):
		return fmt.Sprintf("%s exclude each other", words(excluding, 1, "and"))
	}
	return theirs
}

// flagNames writes a list of cobra's, of names with or without quotes, as flags.
func flagNames(list, last string) string {
	names := strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' || r == '"' })
	for i := range names {
		names[i] = "--" + names[i]
	}
	return sentence(names, last)
}

// inUse are the flags of a usage line, alone or with their value, and groups of them.
var inUse = regexp.MustCompile(`\[--[^\]]*\]|\(--[^)]*\)|--\S+( [A-Z]\S*)?`)

// wanted are the arguments that a usage line names.
func wanted(use string) string {
	_, rest, _ := strings.Cut(use, " ")
	return strings.Join(strings.Fields(inUse.ReplaceAllString(rest, "")), " ")
}
