package verifier

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/customers/bundle/bundletest"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/browsertest"
)

// A disclosed file, and the public records that it is held against.
type disclosed struct {
	name   string
	file   []byte
	public bundle.Public
}

// table is what either says of one. Refused has the reason.
type table struct {
	Refused   string   `json:"refused"`
	Proven    []string `json:"proven"`
	NotProven []string `json:"notProven"`
	Rows      []string `json:"rows"`
}

// tableByGo is the oracle.
func tableByGo(d disclosed) table {
	b, err := bundle.Parse(d.file)
	if err != nil {
		return table{Refused: err.Error()}
	}
	verified, err := b.Verify(d.public)
	if err != nil {
		return table{Refused: err.Error()}
	}
	t := table{Proven: verified.Proven(), NotProven: verified.NotProven()}
	for _, c := range verified.Customers {
		t.Rows = append(t.Rows, fmt.Sprintf("%s %d %d %t", c.Handle, c.Filed, c.Others, c.Erased != nil))
		rows := c.Events
		if c.Erased != nil {
			rows = []bundle.Row{*c.Erased}
		}
		for _, r := range rows {
			line := fmt.Sprintf("%d %t %t %t", r.Leaf, r.FixedBy != nil, r.Before, r.Late)
			for _, f := range append(slices.Clone(r.Fields), r.Values...) {
				line += " " + f.Pointer + "=" + f.Text
			}
			t.Rows = append(t.Rows, line)
		}
	}
	return t
}

const disclosureDriver = `(async trials => {
	const V = docketVerifier, answers = [];
	await V.started;
	for (const { file, request, logs } of trials) {
		const known = r => ({ ...r, index: BigInt(r.index), statement: V.parseStatement(atob(r.statement)) });
		try {
			const t = await V.verifyDisclosure(await V.parseDisclosure(atob(file)), { request: known(request), logs: logs.map(known) });
			answers.push({ refused: "", proven: t.proven, notProven: t.notProven, rows: t.customers.flatMap(c => [
				[c.handle, c.filed, c.others, c.erased !== null].join(" "),
				...(c.erased ? [c.erased] : c.events).map(r => [r.leaf, r.fixedBy !== null, r.before === true, r.late, ...[...r.fields, ...r.values].map(f => f.join("="))].join(" "))]) });
		} catch (err) {
			answers.push({ refused: (err.constructor.name === "Refused" ? "" : "FAILED: ") + err.message });
		}
	}
	return answers;
})(%s)`

// tablesOnPage puts files to the page's own code.
func tablesOnPage(t *testing.T, p *browsertest.Page, all []disclosed) (tables []table) {
	t.Helper()
	known := func(r bundle.Record) map[string]string {
		return map[string]string{"id": r.ID.String(), "index": fmt.Sprint(r.Index), "admitted": r.Admitted.UTC().Format("2006-01-02T15:04:05.000Z"), "statement": base64.StdEncoding.EncodeToString(statementOf(t, r))}
	}
	for some := range slices.Chunk(all, 100) {
		var args []map[string]any
		for _, d := range some {
			logs := []map[string]string{}
			for _, l := range d.public.Logs {
				logs = append(logs, known(l))
			}
			args = append(args, map[string]any{"file": base64.StdEncoding.EncodeToString(d.file), "request": known(d.public.Request), "logs": logs})
		}
		text, err := json.Marshal(args)
		must(t, err)
		tables = append(tables, browsertest.Evaluate[[]table](p, fmt.Sprintf(disclosureDriver, text))...)
	}
	return tables
}

// statementOf writes what of a record a disclosure is held against.
func statementOf(t *testing.T, r bundle.Record) []byte {
	t.Helper()
	st := r.Statement
	predicate := map[string]any{"ledger": st.Ledger.String(), "thread": string(st.Thread), "issuer": "x", "issuedAt": "2027-03-01T00:00:00Z"}
	switch p := st.Predicate.(type) {
	case *record.CustomerLog:
		predicate["size"], predicate["periodUntil"] = p.Size, p.PeriodUntil.String()
		if p.Restart != nil {
			predicate["restart"] = map[string]string{"reason": p.Restart.Reason}
		}
	case *record.DisclosureRequest:
		predicate["status"] = p.Status
		if p.Provider.Text != "" {
			predicate["provider"] = p.Provider.Text
		}
		if p.Open != nil {
			predicate["open"] = map[string]string{"type": p.Open.Type}
		}
	}
	text, err := json.Marshal(map[string]any{"_type": "https://in-toto.io/Statement/v1", "predicateType": fmt.Sprintf("urn:docket:%s:v1", st.Kind),
		"subject": []any{map[string]any{"digest": map[string]string{"sha256": hex.EncodeToString(st.Subject.SHA256[:])}}}, "predicate": predicate})
	must(t, err)
	return text
}

// goldenDisclosure is that of the format's own tests, with the records that it rests on.
func goldenDisclosure(t *testing.T) (raw []byte, public bundle.Public) {
	t.Helper()
	folder := filepath.Join("..", "..", "ledger", "customers", "bundle", "testdata")
	for i, line := range bytes.Split(bytes.TrimSpace(readFile(t, filepath.Join(folder, "public.jsonl"))), []byte("\n")) {
		st, err := record.ParseStatement(line)
		must(t, err)
		r := bundle.Record{ID: record.IDOf(line), Index: uint64(10 + i), Admitted: time.Date(2027, 3, 1+i, 0, 0, 0, 0, time.UTC), Statement: st}
		if st.Kind == record.KindDisclosureRequest {
			public.Request = r
		} else {
			public.Logs = append(public.Logs, r)
		}
	}
	return readFile(t, filepath.Join(folder, "two.disclosure")), public
}

// What a provider disclosed: as it was made, with bytes changed (the digest put right, or not), and of
// logs that the provider forged.
func TestDisclosuresAgree(t *testing.T) {
	p := openPage(t)
	raw, public := goldenDisclosure(t)
	all := []disclosed{{"golden", raw, public}}
	random := rand.New(rand.NewPCG(max(*seed, 1), 14))
	tail := len(raw) - len("digest \n") - 2*sha256.Size
	for range 300 {
		i, changed := random.IntN(len(raw)), bytes.Clone(raw)
		switch c := raw[i]; {
		case '0' <= c && c < '9', 'a' <= c && c < 'z', 'A' <= c && c < 'Z':
			changed[i]++
		default:
			changed[i] ^= 1
		}
		name := "byte"
		if i < tail && random.IntN(10) > 0 {
			name = "byte, with the digest put right,"
			sum := sha256.Sum256(changed[:tail])
			hex.Encode(changed[tail+len("digest "):], sum[:])
		}
		all = append(all, disclosed{fmt.Sprintf("%s %d: %q", name, i, changed[max(0, i-20):min(len(changed), i+20)]), changed, public})
	}
	before := public // the request stands before every record
	before.Request.Index = 5
	between := public
	between.Request.Index = 11
	other, opened := public, public
	other.Request.ID = record.ID{9}
	st, demand := *public.Request.Statement, *public.Request.Statement.Predicate.(*record.DisclosureRequest)
	demand.Open = &record.RequestOpen{Type: "warrant"}
	st.Predicate, opened.Request.Statement = &demand, &st
	none := public
	none.Logs = nil
	all = append(all, disclosed{"after the demand", raw, before}, disclosed{"between", raw, between}, disclosed{"another request", raw, other},
		disclosed{"the opening of a request", raw, opened}, disclosed{"no record of the log", raw, none})
	for _, f := range bundletest.All(t) {
		file, err := f.Bundle.Format()
		must(t, err)
		all = append(all, disclosed{"forged: " + f.Name, file, f.Public})
		restarted := f.Public
		restarted.Logs = slices.Clone(f.Public.Logs)
		st, said := *restarted.Logs[0].Statement, *restarted.Logs[0].Statement.Predicate.(*record.CustomerLog)
		said.Restart = &record.LogRestart{Reason: "lost"}
		st.Predicate, restarted.Logs[0].Statement = &said, &st
		lost, newer := f.Public.Logs[0], f.Public.Logs[0]
		lost.ID, lost.Index, newer.ID, newer.Index = record.ID{3}, 5, record.ID{4}, 8
		restarted.Logs = append(restarted.Logs, lost)
		all = append(all, disclosed{"restarted: " + f.Name, file, restarted})
		older := f.Public
		older.Request.Index = 10
		newer.Index = 9
		older.Logs = append(slices.Clone(f.Public.Logs), newer)
		all = append(all, disclosed{"on an old record: " + f.Name, file, older})
	}
	answers, verified := tablesOnPage(t, p, all), 0
	for i, d := range all {
		want, got := tableByGo(d), answers[i]
		if (want.Refused == "") != (got.Refused == "") || len(got.Refused) > 6 && got.Refused[:6] == "FAILED" {
			t.Errorf("%s: docket customers verify says %q, the page %q", d.name, want.Refused, got.Refused)
			continue
		}
		if want.Refused != "" {
			continue
		}
		verified++
		if !reflect.DeepEqual(want, got) {
			t.Errorf("%s: docket customers verify says\n%q\nthe page says\n%q", d.name, want, got)
		}
	}
	if verified < 8 || verified > len(all)/2 {
		t.Errorf("%d of %d verify: nothing was tried", verified, len(all))
	}
}

// A disclosure is believed under the public record that its own chain shows, and says of itself what
// the chain does not.
func TestDisclosureUnderItsChain(t *testing.T) {
	p := openPage(t)
	now := time.Now().Truncate(time.Second)
	c := newCast(now)
	l := standardLog(t, c.policy(), now.Add(-2*time.Minute))
	charter := record.IDOf(l.entries[0].Envelope.Payload)
	chained := []*event.Event{bundletest.Login(bundletest.Ann, 0, 0), bundletest.Login(bundletest.Ann, 1, 0)}
	b, _ := bundletest.Forger{Ledger: charter, Events: chained, Filed: []uint64{0, 1}}.Bundle(t)
	// publish puts the private log on the ledger, as whoever has these keys.
	key := newTestKey(proof.Ed25519, "acme.example/customers")
	publish := func(signers ...string) uint64 {
		root, err := proof.ParseHash(b.Head.Log.Root)
		must(t, err)
		cp := proof.Checkpoint{Origin: key.name, Size: uint64(b.Head.Log.Size), Root: root}
		env := l.Sign(l.Statement(record.CustomerLogThread("acme-cloud"), "acme-cloud", &record.CustomerLog{Origin: key.name, VKey: key.vkey(), Size: b.Head.Log.Size,
			Checkpoint: string(cp.Body()) + "\n" + key.line(cp, 0), PeriodUntil: record.Date{Year: 2027, Month: 3, Day: 1}}), signers...)
		return l.admit(env, signers...)
	}
	fixed := publish("acme-cloud/ci")
	request := l.admit(l.Request("1", l.NewRequest("acme-cloud")), "authority/officer-3")
	byOther := publish("authority/officer-1")
	leaves := l.leaves()
	chain := func(indexes ...uint64) (all []byte) {
		for _, i := range indexes {
			all = append(all, receiptOf(leaves, int(i), c.lines)...)
		}
		return all
	}
	idOf := func(i uint64) record.ID { return record.IDOf(l.entries[i].Envelope.Payload) }
	file := func(change func(b *bundle.Bundle), chains ...[]byte) []byte {
		made := *b
		log := *b.Head.Log
		made.Head.Log, made.Head.Request, made.Chains = &log, idOf(request), chains
		log.Record = idOf(fixed)
		if change != nil {
			change(&made)
		}
		raw, err := made.Format()
		must(t, err)
		return raw
	}
	logChain, requestChain := chain(0, 1, 2, fixed), chain(0, 1, request)
	altered := bytes.Clone(logChain)
	altered[len(altered)-20] ^= 1
	const demand, whose = "no chain in the file shows the request", "that acme-cloud signed the public record NOT CHECKED"
	for _, test := range []struct {
		name, pin string
		file      []byte
		verdict   string
		says      string // in the reason, or in what is NOT CHECKED
		not       string // in what is NOT CHECKED
	}{
		{"with both chains", charter.String(), file(nil, logChain, requestChain), "verified", "whether a later public record", demand},
		{"by policy", c.policy(), file(nil, logChain, requestChain), "verified", "whether a later public record", demand},
		{"without the request", charter.String(), file(nil, logChain), "verified", demand, whose},
		{"another's record", charter.String(), file(func(b *bundle.Bundle) { b.Head.Log.Record = idOf(byOther) }, chain(0, 1, 2, byOther)), "verified", whose, ""},
		{"no chain", charter.String(), file(nil), "undecided", "it has no chain of receipts", ""},
		{"another pin", record.ID{1}.String(), file(nil, logChain), "refused", "which you pinned", ""},
		{"a chain of something else", charter.String(), file(nil, chain(0, 1, 2, byOther)), "refused", "is not among those verified", ""},
		{"an altered chain", charter.String(), file(nil, altered), "refused", "", ""},
		{"a log with another root", charter.String(), file(func(b *bundle.Bundle) { b.Head.Log.Root = proof.Hash{1}.String() }, logChain), "refused", "it rests on a log of 3 leaves", ""},
		{"nobody", charter.String(), file(func(b *bundle.Bundle) { b.Customers = nil }, logChain), "undecided", "it shows no customer", ""},
	} {
		got := judgeOnPage(t, p, now, []trial{{test.name, []byte(test.pin), test.file}})[0]
		unchecked := strings.Join(got.Unchecked, "\n")
		if got.Verdict != test.verdict || !strings.Contains(got.Reason+unchecked, test.says) || test.not != "" && strings.Contains(unchecked, test.not) {
			t.Errorf("%s: %s, %q, not checked %q; want %s, %q", test.name, got.Verdict, got.Reason, unchecked, test.verdict, test.says)
		}
	}
	raw, err := json.Marshal(base64.StdEncoding.EncodeToString(file(nil, logChain)))
	must(t, err)
	if got := browsertest.Evaluate[string](p, fmt.Sprintf(`docketVerifier.judge(atob(%s), null, 1).then(r => r.verdict + ": " + r.reason)`, raw)); !strings.HasPrefix(got, "undecided: ") || !strings.Contains(got, "choose whom you trust") {
		t.Errorf("with nobody trusted: %s", got)
	}

	// What the reader sees.
	shown := func(file []byte) string {
		handed, err := json.Marshal(map[string]string{"name": "one.disclosure", "bytes": latin1(file)})
		must(t, err)
		quoted, err := json.Marshal(string(handed))
		must(t, err)
		browsertest.Evaluate[bool](p, fmt.Sprintf(`localStorage.setItem("docket-verify-trust", JSON.stringify({ text: %q, since: "2027-01-01" })); sessionStorage.setItem("docket-verify-file", %s); true`, charter.String(), quoted))
		p.Do(chromedp.Reload())
		return browsertest.Evaluate[string](p, `docketVerifier.started.then(() => document.getElementById("results").innerText + "\n" + document.getElementById("status").textContent)`)
	}
	text := shown(file(nil, logChain))
	for _, want := range []string{"VERIFIED that a public record fixes it NOT CHECKED all that docket customers verify checks", "Customer " + bundletest.Ann.String() + ": 2 filed, 2 shown", "action", "login",
		"All that was filed under the handle", "only an auditor who replays the private log", "docket customers verify one.disclosure --trust trust"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not show %q, but\n%s", want, text)
		}
	}
	if text := shown(file(nil)); strings.Contains(text, "VERIFIED") || strings.Contains(text, "Proven") || !strings.Contains(text, "NOT CHECKED") {
		t.Errorf("of a file without a chain the page shows\n%s", text)
	}
}

// latin1 is bytes as the page keeps them: one character each.
func latin1(b []byte) string {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}
