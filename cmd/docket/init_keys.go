package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/witness"
)

// initKeys is the first step of docket init, and what a rotation of the log's keys needs.
type initKeys struct {
	app                  *app
	dir, origin, contact string
	policy               string // file of one to come
	next, retire         bool
	mldsa, asJSON        bool
}

// make makes keys, or keeps those that are there, and prints them.
func (k initKeys) make(c *cobra.Command) error {
	a := k.app
	if fault := schema.FormatOrigin.Fault(k.origin); fault != "" {
		return usageError("--origin: %s", fault)
	}
	var coming *proof.Policy
	if k.policy != "" {
		text, err := a.readFile(k.policy)
		if err != nil {
			return err
		}
		if coming, err = proof.ParsePolicy(text); err != nil {
			return usageError("%s: %w", k.policy, err)
		}
	}
	create := node.CreateKeys
	if k.next {
		create = node.CreateNextKeys
	}
	keys, err := create(k.dir, k.origin)
	if errors.Is(err, node.ErrNoKeys) {
		return noKeysError(err, k.dir)
	}
	if err != nil {
		return refusal("%w", err)
	}
	a.warnOfReadersIn(k.dir)
	if k.contact != "" {
		return k.printLogList(keys)
	}
	var ready []rehearsed
	if k.next {
		ready, err = k.rehearse(c, coming) // what it was about is printed all the same
	}
	if err := k.print(keys, ready); err != nil {
		return err
	}
	if errors.Is(err, node.ErrInUse) {
		a.logf("docket serve has %s open: start it again, and it asks the witnesses whether they know these keys (its log, and /v1/witnesses, say who is not ready)", k.dir)
		return nil
	}
	return err
}

// print prints the keys as policies have them, and what the witnesses said of them.
func (k initKeys) print(keys node.Keys, ready []rehearsed) error {
	a := k.app
	var vkeys []string
	for _, s := range keys.Signers {
		vkeys = append(vkeys, s.Key().String())
	}
	if k.asJSON {
		answer := map[string]any{"origin": keys.Origin, "vkeys": vkeys}
		if len(ready) > 0 {
			answer["nextKeys"] = ready
		}
		return a.printJSON(answer)
	}
	if k.next {
		a.logf("the successors of the log's keys are in %s/keys; back them up, and start docket serve again: it signs with both", k.dir)
		a.logf("put these lines beside the old ones into a new charter's policy, sign it with the root keys and submit it;")
		a.logf("when the witnesses know these keys (--contact prints them for their lists), a charter with these lines alone;")
		a.logf("once that is published: docket init --dir %s --origin %s --retire", k.dir, k.origin)
	} else {
		a.logf("the log's keys are in %s/keys; back them up, and show them to nobody", k.dir)
		a.logf("put these lines into the charter's policy (a URL may follow each), after them those of the witnesses (docket witness init)")
		a.logf("and a quorum line, without which it is no policy; \"quorum none\" where nobody watches:")
	}
	for _, v := range vkeys {
		a.printf("log %s\n", v)
	}
	for _, r := range ready {
		a.sayReady(r)
	}
	return nil
}

// printLogList prints the log as its witnesses' lists have it. An entry with an ML-DSA key
// fails the witness network's checks of a list ("Currently, only ed25519 alg1 type keys are
// permitted", its log list format, "List of logs"), so it takes a flag.
func (k initKeys) printLogList(keys node.Keys) error {
	a := k.app
	log := witness.Log{Origin: keys.Origin, QPD: 24 * 60 * 60, Contact: k.contact} // one a second
	for _, s := range keys.Signers {
		if s.Key().Algorithm() == proof.Ed25519 || k.mldsa {
			log.Keys = append(log.Keys, s.Key())
		}
	}
	text := witness.LogList{log}.Format()
	if _, err := witness.ParseLogs(text); err != nil {
		return usageError("--contact %q: want one line for people, like ops@docket.example.org", k.contact)
	}
	if k.mldsa {
		a.logf("a witness that takes ML-DSA-44 keys adds this to the file that its docket witness serve --logs reads; the first line stands there once:")
	} else {
		a.logf("each witness adds this to its list of logs (docket witness serve --logs), and so does the witness network; the first line stands there once:")
	}
	if k.next {
		a.logf("(it stands beside the entry of the present key: where a list has one already, most witnesses heed only that, until their operator puts the other in by hand)")
	}
	a.printf("%s", text)
	return nil
}

// rehearsed is how the witnesses of one policy answered, as --json has it.
type rehearsed struct {
	Policy    string `json:"policy"` // whose it is
	Quorum    bool   `json:"quorum"`
	Witnesses []struct {
		Name  string `json:"name"`
		Ready bool   `json:"ready"`
		Error string `json:"error,omitempty"`
	} `json:"witnesses"`
}

func newRehearsed(of string, r node.Rehearsed) rehearsed {
	said := rehearsed{Policy: of, Quorum: r.Quorum}
	for _, w := range r.Witnesses {
		said.Witnesses = append(said.Witnesses, struct {
			Name  string `json:"name"`
			Ready bool   `json:"ready"`
			Error string `json:"error,omitempty"`
		}{w.Name, w.Ready, w.Error})
	}
	return said
}

// rehearse asks the witnesses of the newest charter's policy, and of one to come,
// whether they cosign what the new keys sign alone. Before anything is published there
// is nothing to ask them. [node.ErrInUse]: another process can ask.
func (k initKeys) rehearse(c *cobra.Command, coming *proof.Policy) ([]rehearsed, error) {
	if _, err := os.Stat(filepath.Join(k.dir, "store")); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	keys, err := node.LoadKeys(k.dir) // both generations
	if err != nil {
		return nil, err
	}
	n, err := k.app.openNode(c, node.Config{Dir: k.dir, Keys: keys})
	if err != nil {
		return nil, err
	}
	defer n.Close()
	r, err := n.Rehearse(c.Context())
	if errors.Is(err, node.ErrNotPublished) {
		return nil, nil
	} else if err != nil {
		return nil, explainOpenError(err, k.dir)
	}
	all := []rehearsed{newRehearsed("the newest charter's policy", r)}
	if coming != nil {
		r, err := n.RehearseUnder(c.Context(), coming)
		if errors.Is(err, ledger.ErrNoLogKey) {
			return all, refusal("%s: %w", k.policy, err).hint("put the printed lines into it")
		} else if err != nil {
			return all, explainOpenError(err, k.dir)
		}
		all = append(all, newRehearsed(k.policy, r))
	}
	return all, n.Close()
}

// sayReady says how the witnesses of one policy stand to the new keys.
func (a *app) sayReady(r rehearsed) {
	if len(r.Witnesses) == 0 {
		a.logf("%s names no witness that would have to know the new keys", r.Policy)
		return
	}
	a.logf("the witnesses of %s were asked to cosign what the new keys sign alone:", r.Policy)
	for _, w := range r.Witnesses {
		if w.Ready {
			a.logf("    %s: ready", w.Name)
		} else {
			a.logf("    %s: NOT READY: %s", w.Name, w.Error)
		}
	}
	if r.Quorum {
		a.logf("those who are ready make the quorum")
	} else {
		a.logf("those who are ready make no quorum: the old keys must go on signing, beside the new ones")
	}
}

// retireOlder takes the older keys out of use once they are not needed.
func (k initKeys) retireOlder(c *cobra.Command) error {
	a := k.app
	keys, err := a.logKeys(k.dir)
	if err != nil {
		return err
	}
	if keys.Origin != k.origin {
		return refusal("%s holds the keys of %s", k.dir, keys.Origin)
	}
	if keys.Older == 0 {
		if err := node.RetireKeys(k.dir); err != nil { // what a power cut left
			return err
		}
		a.logf("%s/keys holds one generation of keys: none is to go", k.dir)
		return nil
	}
	n, err := a.openNode(c, node.Config{Dir: k.dir, Keys: keys})
	if err != nil {
		return err
	}
	defer n.Close()
	switch err := n.MayRetire(); {
	case errors.Is(err, node.ErrNotPublished):
		return notYet("%w", err).hint("docket serve --dir %s publishes; end it after that, and run this again", k.dir)
	case err != nil:
		return refusal("%w", err).hint("submit a charter whose policy names the new keys alone (docket init --dir %s --origin %s --next prints them), let docket serve publish it, and run this again", k.dir, k.origin)
	}
	answer, err := n.Rehearse(c.Context())
	if err != nil {
		return explainOpenError(err, k.dir)
	}
	r := newRehearsed("the newest charter's policy", answer)
	if !k.asJSON {
		a.sayReady(r)
	}
	if r.Quorum {
		if err := node.RetireKeys(k.dir); err != nil {
			return err
		}
	}
	if k.asJSON {
		if err := a.printJSON(map[string]any{"origin": k.origin, "retired": r.Quorum, "nextKeys": []rehearsed{r}}); err != nil {
			return err
		}
	}
	if !r.Quorum {
		return refusal("the old keys stay: without them nothing could be published").hint("the operators of those who are not ready put the new key in by hand (docket init --dir %s --origin %s --next --contact WHO prints it), or a charter names other witnesses; docket serve goes on with both generations until then", k.dir, k.origin)
	}
	a.logf("the old keys are in %s/keys/retired: from its next start docket serve signs with the new ones alone", k.dir)
	return n.Close()
}
