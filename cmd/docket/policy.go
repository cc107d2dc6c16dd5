package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

func (a *app) policy() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Look at a policy: which log, which witnesses, which quorum",
	}
	c.AddCommand(a.policyCheck())
	return c
}

func (a *app) policyCheck() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Say what a policy accepts, and how many dishonest witnesses a fork needs",
		Long: `Reads a tlog-policy strictly and says what follows from it: the logs, the witnesses,
the quorum, how many witnesses have to be dishonest for two histories to be
accepted, and its fingerprint. It exits 1 where two quorums need not have a witness
in common: such a policy stops no fork. "quorum none" passes with a warning.`,
		Example:           "  docket policy check policy.txt",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeFiles("txt", "policy"),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := a.readFile(args[0])
			if err != nil {
				return err
			}
			p, err := proof.ParsePolicy(text)
			if err != nil {
				if what := record.DescribeInput(text); !damaged(what, "a tlog-policy") && !strings.HasPrefix(what, "text of a kind") {
					return usageError("%s is %s; wanted a tlog-policy", args[0], what)
				}
				return refusal("%s: %w", args[0], err)
			}
			a.warnPolicy(p)
			if err := checkAskable(p); err != nil {
				a.logf("it does for verifiers, and for no charter: %v", err)
			}
			if asJSON {
				err = a.printJSON(policyFacts(p))
			} else {
				a.showPolicy(p)
			}
			if err != nil {
				return err
			}
			if err := p.CheckQuorumsIntersect(); err != nil {
				return refusal("%s: %w", args[0], err)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) showPolicy(p *proof.Policy) {
	for _, l := range p.Logs() {
		a.printf("log          %s  %s%s\n", l.Key.Name(), l.Key.Algorithm(), urlSuffix(l.URL))
	}
	for _, w := range p.Witnesses() {
		a.printf("witness      %s  %s %s%s\n", w.Name, w.Key.Name(), w.Key.Algorithm(), urlSuffix(w.URL))
	}
	a.printf("quorum       %s\n", quorumText(p))
	a.printf("a fork needs %s\n", forkText(p))
	if p.PostQuantum() {
		a.printf("post-quantum yes: every log key and every key of the quorum is ML-DSA\n")
	}
	a.printf("fingerprint  %s\n", p.Fingerprint())
}

func urlSuffix(url string) string {
	if url == "" {
		return ""
	}
	return "  " + url
}

// checkAskable refuses a policy under which docket serve could publish nothing: it asks the
// witnesses whose lines have a URL, and they make no quorum. Whoever verifies needs no URL,
// so that this is no fault of a policy that is only for them.
func checkAskable(p *proof.Policy) error {
	var asked, unasked []string
	for _, w := range p.Witnesses() {
		if w.URL == "" {
			unasked = append(unasked, w.Name)
		} else {
			asked = append(asked, w.Name)
		}
	}
	if p.Satisfied(asked...) {
		return nil
	}
	return fmt.Errorf("the policy gives no URL for %s, and docket serve asks only witnesses whose lines have one: the others make no quorum, so that nothing could be published", joinWords(unasked, "and"))
}

func quorumText(p *proof.Policy) string {
	if p.QuorumIsNone() {
		return "none"
	}
	k, n := p.QuorumSize()
	return fmt.Sprintf("%s: %d of %d (%s)", p.QuorumName(), k, n, strings.Join(p.QuorumMembers(), ", "))
}

func forkText(p *proof.Policy) string {
	switch n := p.ForkCost(); {
	case p.QuorumIsNone():
		return "the log's key alone: nobody watches"
	case n == 0:
		return "the log's key alone: every witness may be honest"
	case n == 1:
		return "the log's key and 1 dishonest witness"
	default:
		return fmt.Sprintf("the log's key and %d dishonest witnesses", n)
	}
}

// policyFacts is what policy check prints as JSON.
func policyFacts(p *proof.Policy) any {
	type key struct {
		Name      string `json:"name"`
		Key       string `json:"key"`
		Algorithm string `json:"algorithm"`
		URL       string `json:"url,omitempty"`
	}
	facts := struct {
		Logs        []key    `json:"logs"`
		Witnesses   []key    `json:"witnesses"`
		Quorum      string   `json:"quorum"`
		Need        int      `json:"need"`
		Of          int      `json:"of"`
		ForkNeeds   int      `json:"forkNeeds"`
		PostQuantum bool     `json:"postQuantum"`
		Sound       bool     `json:"sound"`
		Warnings    []string `json:"warnings"`
		Fingerprint string   `json:"fingerprint"`
	}{
		Logs: []key{}, Witnesses: []key{}, Quorum: p.QuorumName(), ForkNeeds: p.ForkCost(), PostQuantum: p.PostQuantum(),
		Sound: p.CheckQuorumsIntersect() == nil, Warnings: p.Warnings(), Fingerprint: p.Fingerprint(),
	}
	facts.Need, facts.Of = p.QuorumSize()
	for _, l := range p.Logs() {
		facts.Logs = append(facts.Logs, key{l.Key.Name(), l.Key.String(), l.Key.Algorithm().String(), l.URL})
	}
	for _, w := range p.Witnesses() {
		facts.Witnesses = append(facts.Witnesses, key{w.Name, w.Key.String(), w.Key.Algorithm().String(), w.URL})
	}
	if facts.Warnings == nil {
		facts.Warnings = []string{}
	}
	return facts
}
