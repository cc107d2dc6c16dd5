package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/witness"
)

func (a *app) init() *cobra.Command {
	var charter string
	var newLog bool
	var k initKeys
	c := &cobra.Command{
		Use:   "init --dir D (--origin NAME [--next | --retire] | --charter ENVELOPE)",
		Short: "Begin a ledger: make the log's keys, then admit its charter",
		Long: `Begins a ledger in two steps.

First, with --origin, it makes the log's two signing keys (Ed25519 and ML-DSA-44)
in D/keys and prints the policy lines to put into the charter. They sign
checkpoints and nothing else. A third key signs refusals and nothing else: named in
the charter as its refusalsKey, it lets whoever was refused show so. A directory that
lacks it gets it when the step is repeated.

Then, with --charter, the charter, signed by its root keys, becomes index 0. A
charter whose policy lacks either of the directory's keys is refused. With
"quorum none" it is published at once; otherwise docket serve publishes it when
the witnesses have cosigned. Weeks may pass between the two steps.

Before anything with an entry is signed, the charter's witnesses, and whoever answers
at the log's URL, are shown the empty tree: if they know more of this log, its store
was lost, and nothing is signed. Keys that have signed bear a mark, D/keys/log-*.signed,
and do not begin a second ledger. If a witness says that it knows more, and nobody
shows what, and you know that these keys have signed nothing elsewhere, say --new-log:
the other witnesses must make a quorum then. If it knows another log by this name, take
another name: it cosigns nothing of this one, and may call the two a fork.

With --contact it prints the Ed25519 key as lists of logs have it, the witness network's
among them, with 86,400 checkpoints a day; --mldsa adds the ML-DSA-44 key, for witnesses
that take one (docket witness serve does; others' lists do not).

Both steps can be repeated: what is there already is left as it is.

With --next it makes the keys that are to follow the present ones, and prints their
policy lines. docket serve, started again, signs with both. The root keys then sign
a charter that names both, and later one that names the new ones alone.

Witnesses verify the log's signature too, and most keep the first key that they took
of a log until their operator puts another in by hand. So --next also asks each witness
of the newest charter to cosign what is published with the new keys' signatures alone,
and says who is not ready; --policy FILE asks those of a policy to come. docket serve
does the same from time to time, if it is what has the directory open. While those who
are ready make no quorum, the old keys must go on signing, beside the new ones: that
troubles no verifier.

With --retire, once the newest charter names the old keys no more and a quorum of its
witnesses is ready, they go to D/keys/retired. It refuses before, and says why. There
are never more than two generations: other witnesses take no larger requests.

With --store, in either step, the ledger is kept in a bucket of an object store or in a
PostgreSQL database, and not in D/store: D/store.url notes which, without a password, and D
keeps the keys and what is derived. A store is probed before it is noted; one that breaks a
promise that a ledger rests on is refused (docket store probe).

Where the log's keys are lost for ever, the root keys sign a charter that names new
ones, and --charter admits it, since docket serve does not start without a key that
the policy names.`,
		Example: `  docket init --dir ledger --origin docket.ocr.example/2026
  docket sign --key root-1.key --key root-2.key --key root-3.key charter.yaml
  docket init --dir ledger --charter charter.dsse.json
  docket init --dir ledger --origin docket.ocr.example/2026 --contact ops@ocr.example > logs.txt
  docket init --dir ledger --origin docket.ocr.example/2026 --store 's3://records/cip?region=eu-central-1'
  docket init --dir ledger --origin docket.ocr.example/2026 --next
  docket init --dir ledger --origin docket.ocr.example/2026 --retire`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case k.origin != "" && charter != "":
				return usageError("--origin and --charter are two steps").hint("first --origin, then put the printed lines into the charter, sign it, then --charter")
			case k.next && k.origin == "":
				return usageError("--next goes with --origin").hint("docket init --dir %s --origin NAME --next", k.dir)
			case k.retire && k.origin == "":
				return usageError("--retire goes with --origin").hint("docket init --dir %s --origin NAME --retire", k.dir)
			case k.contact != "" && k.origin == "":
				return usageError("--contact goes with --origin").hint("docket init --dir %s --origin NAME --contact %q", k.dir, k.contact)
			case k.mldsa && k.contact == "":
				return usageError("--mldsa goes with --contact")
			case k.policy != "" && (!k.next || k.contact != ""):
				return usageError("--policy goes with --next, which asks its witnesses, and not with --contact, which asks nobody")
			case newLog && charter == "":
				return usageError("--new-log goes with --charter")
			case k.store != "" && (k.next || k.retire || k.contact != ""):
				return usageError("--store goes with the steps that begin a ledger").hint("docket store copy moves one that there is")
			case k.origin != "" && k.retire:
				return k.retireOlder(c)
			case k.origin != "":
				return k.make(c)
			case charter != "":
				return a.initCharter(c, k.dir, k.store, charter, newLog, k.asJSON)
			}
			return usageError("want --origin NAME, or --charter ENVELOPE").hint("docket init --help")
		},
	}
	k.app = a
	f := c.Flags()
	f.StringVar(&k.dir, "dir", "", "directory of the ledger")
	f.StringVar(&k.store, "store", "", storeFlagHelp)
	f.StringVar(&k.origin, "origin", "", "the log's name for ever, like docket.example.org/2026")
	f.BoolVar(&k.next, "next", false, "make the keys that are to follow the present ones, and ask the witnesses whether they know them")
	f.StringVar(&k.policy, "policy", "", "with --next: file of a policy to come, whose witnesses are asked too")
	f.BoolVar(&k.retire, "retire", false, "take the old keys out of use, if no charter and no quorum needs them any more")
	f.StringVar(&k.contact, "contact", "", "whom the log's witnesses can reach, like ops@docket.example.org: prints their log list")
	f.BoolVar(&k.mldsa, "mldsa", false, "with --contact: the ML-DSA-44 keys too, for witnesses that take them")
	f.StringVar(&charter, "charter", "", "envelope of the signed charter")
	f.BoolVar(&newLog, "new-log", false, "the keys have signed nothing elsewhere: who claims a larger log of this name knows another one, and the others make a quorum")
	f.BoolVar(&k.asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("dir")
	c.MarkFlagsMutuallyExclusive("contact", "json")
	c.MarkFlagsMutuallyExclusive("next", "retire")
	c.MarkFlagsMutuallyExclusive("contact", "retire")
	return c
}

// initCharter is the second step.
func (a *app) initCharter(c *cobra.Command, dir, store, file string, newLog, asJSON bool) error {
	input, err := a.readEnvelope(file)
	if err != nil {
		return err
	}
	env := *input.envelope
	st, err := record.ParseStatement(env.Payload)
	if err != nil {
		return refusal("%s: %w", file, err)
	}
	content, ok := st.Predicate.(*record.Charter)
	if !ok {
		return usageError("%s is %s %s; wanted a charter", file, article(st.Kind), st.Kind)
	}
	keys, err := a.logKeys(dir)
	if err != nil {
		return err
	}
	if err := checkFreeSpace(vfs.Default, dir); err != nil {
		return err
	}
	n, err := a.openLedger(c, store, node.Config{Dir: dir, Keys: keys, Ledger: ledger.Config{NewLog: newLog}})
	if err != nil {
		return err
	}
	defer n.Close()
	_, again, err := n.Ledger.Lookup(record.IDOf(env.Payload))
	if err != nil {
		return err
	}
	if !again {
		if err := checkFirstCharter(n.Node, dir); err != nil {
			return err
		}
		if err := keys.CheckPolicy(content); err != nil {
			return refusal("%s: %w", file, err)
		}
	}
	policy, err := proof.ParsePolicy([]byte(content.Policy))
	if err != nil {
		return refusal("%s: the charter's policy: %w", file, err)
	}
	if !again {
		if err := checkAskable(policy); err != nil {
			return refusal("%s: %w", file, err).hint("write each witness's URL behind its line (docket witness init --dir W --name NAME --url URL prints it so), and sign the charter anew")
		}
		if err := a.introduceLog(c, n.Node, policy, dir); err != nil {
			return err
		}
	}
	index, published, err := n.Admit(c.Context(), env)
	if err != nil {
		var r *record.Refusal
		if errors.As(err, &r) && r.Class == record.Forbidden {
			return refusal("%s: %w", file, err).hint("add what is missing: docket sign --key FILE %s", file)
		}
		return explainOpenError(refusal("%s: %w", file, err), dir)
	}
	a.warnPolicy(policy)
	name := n.Register.Ledger()
	if asJSON {
		return a.printJSON(map[string]any{"ledger": name, "published": published})
	}
	if published {
		a.logf("index %d is published", index)
	} else {
		a.logf("index %d is committed; docket serve publishes it when the witnesses have cosigned", index)
	}
	a.logf("the ledger's name, by which everybody pins it, is the record ID of its first charter:")
	a.printf("%s\n", name)
	return n.Close()
}

// checkFirstCharter refuses a charter that is not the first one, unless it could not be
// submitted: the log's keys are lost, and it brings others.
func checkFirstCharter(n *node.Node, dir string) error {
	known := n.Register.Ledger()
	if known.IsZero() {
		return nil
	}
	if err := n.CheckKeys(); errors.Is(err, ledger.ErrNoLogKey) {
		return nil
	} else if err != nil {
		return err
	}
	return refusal("%s has a charter already, %s", dir, known).hint("a ledger has one charter at index 0; a later one is submitted like any record")
}

// introduceLog asks whether the log is new before its first entry is committed: a second
// history is not to be begun, let alone signed. Witnesses that do not answer yet are
// asked again before the first signature.
func (a *app) introduceLog(c *cobra.Command, n *node.Node, policy *proof.Policy, dir string) error {
	silent, err := n.Ledger.ProbeNewLog(c.Context(), policy)
	if err != nil && (errors.Is(err, ledger.ErrUnprovenClaim) || !errors.Is(err, ledger.ErrNoQuorum) && !errors.Is(err, ledger.ErrClock)) {
		return explainOpenError(err, dir)
	}
	for _, s := range silent {
		a.logf("docket: warning: nobody says whether these keys have signed elsewhere: there is no witness to ask, and %v", s)
	}
	return nil
}

// explainOpenError tells what to do about a ledger that must not go on.
func explainOpenError(err error, dir string) error {
	switch {
	case errors.Is(err, node.ErrBackup):
		return usageError("%w", err).hint("docket restore %s --to DIR makes a ledger of it, with what was signed since", dir)
	case errors.Is(err, node.ErrRestoring):
		return refusal("%w", err).hint("run docket restore BACKUP --to %s again, with all that it was given", dir)
	case errors.Is(err, node.ErrWithheldDamaged):
		return withheldDamaged(err, dir)
	case errors.Is(err, ledger.ErrRollback):
		return refusal("%w", err).hint("bring back the newest backup of %s, in its place (docket restore BACKUP --to NEW --with URL-or-DIR makes one of a backup and of what others hold); if this is a copy of a directory that runs elsewhere, only one may run. A new ledger takes new keys, under another name. Where the policy is quorum none and the newest store is lost for ever, docket serve --allow-rollback goes on without what it held", storeIn(dir))
	case errors.Is(err, ledger.ErrUnprovenClaim) && errors.Is(err, ledger.ErrNoQuorum):
		return refusal("%w", err).hint("the others who answer make no quorum, and a witness that knows another log by this name cosigns nothing of this one: take another name (docket init --origin), or name other witnesses in the charter")
	case errors.Is(err, ledger.ErrUnprovenClaim):
		return refusal("%w", err).hint("if these keys have signed nothing anywhere, and there was no other log by this name, which the witness would call a fork, run it again with --new-log; otherwise the store was lost: bring back the newest backup of %s", storeIn(dir))
	case errors.Is(err, ledger.ErrClock):
		return refusal("%w", err).hint("set the clock, and run it again; if it was wrong when the charter was admitted, and there is no %s/keys/log-*.signed yet, remove %[1]s/store and %[1]s/register first", dir)
	case errors.Is(err, ledger.ErrTakenOver):
		return refusal("%w", err).hint("nothing is lost: let that one go on")
	case isStoreError(err):
		return explainStoreError(err, dir)
	case errors.Is(err, ledger.ErrConflict):
		return refusal("%w", err).hint("only one process may write to %s", storeIn(dir))
	}
	return err
}

func (a *app) logKeys(dir string) (node.Keys, error) {
	keys, err := node.LoadKeys(dir)
	if errors.Is(err, node.ErrNoKeys) {
		return keys, noKeysError(err, dir)
	}
	a.warnOfReadersIn(dir)
	return keys, explainOpenError(err, dir)
}

func noKeysError(err error, dir string) error {
	return usageError("%w", err).hint("docket init --dir %s --origin NAME makes those of a new ledger; lost ones come back from the backup", dir)
}

// openNode opens a ledger's directory, of which one process at a time has the use.
func (a *app) openNode(c *cobra.Command, config node.Config) (*node.Node, error) {
	if config.Fatal == nil {
		config.Fatal = a.diskFailed
	}
	n, err := node.Open(c.Context(), config)
	if errors.Is(err, node.ErrInUse) {
		return nil, notYet("%w", err).hint("end the docket serve that has it open, or name another --dir")
	}
	if err != nil {
		return nil, explainOpenError(fmt.Errorf("opening the ledger in %s: %w", config.Dir, err), config.Dir)
	}
	return n, nil
}

// initKeys is the first step of docket init, and what a rotation of the log's keys needs.
type initKeys struct {
	app                  *app
	dir, origin, contact string
	store                string // where the ledger is to be kept
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
	if k.store != "" {
		store, err := a.openStore(c.Context(), k.dir, k.store, nil)
		if err != nil {
			return err
		}
		if store == nil {
			return nil
		}
		if err := store.Close(); err != nil {
			return err
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
	if errors.Is(err, node.ErrBackup) || errors.Is(err, node.ErrRestoring) {
		return explainOpenError(err, k.dir)
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
		if keys.Refusals != nil {
			answer["refusalsKey"] = keys.Refusals.Key().String()
		}
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
		if keys.Refusals != nil {
			a.logf("put the key that signs what is refused into the charter itself:")
			a.logf("refusalsKey: %s", keys.Refusals.Key())
		}
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
	if err := node.HasStore(vfs.Default, k.dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	keys, err := node.LoadKeys(k.dir) // both generations
	if err != nil {
		return nil, err
	}
	n, err := k.app.openLedger(c, "", node.Config{Dir: k.dir, Keys: keys})
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
	n, err := a.openLedger(c, "", node.Config{Dir: k.dir, Keys: keys})
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
