package verifier

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/browsertest"
)

var seed = flag.Uint64("seed", 0, "of the random mutations; 0: the time")

// A trial is one file under one choice of whom to trust, put to the page and to docket verify.
type trial struct {
	name string
	pin  []byte // a policy, or a charter's record ID
	file []byte
}

// verdict is what either says of a trial.
type verdict struct {
	Verdict  string `json:"verdict"` // of the page: verified, partly, refused, undecided
	Reason   string `json:"reason"`
	Included bool   `json:"included"` // of a lone receipt: the entry was shown to be in the tree, whatever it is
	Facts    facts  `json:"facts"`

	Unchecked []string `json:"unchecked"` // what the page says is NOT CHECKED
}

// facts are what a file that verifies proves. The words of docket verify are made of them.
type facts struct {
	Kind        string   `json:"kind"`
	Thread      string   `json:"thread"`
	Record      string   `json:"record"`
	Issuer      string   `json:"issuer"`
	Origin      string   `json:"origin"`
	Index       string   `json:"index"`
	Size        string   `json:"size"`
	Admitted    string   `json:"admitted"`
	ExistedBy   string   `json:"existedBy"`
	Witnesses   []string `json:"witnesses"`
	Policy      string   `json:"policy"`
	PostQuantum bool     `json:"postQuantum"`
	Ledger      string   `json:"ledger"`
	Charter     string   `json:"charter"`
	Continued   []string `json:"continued"`
	Unproven    []string `json:"unproven"`
	Signers     []string `json:"signers"`
	Genuine     []string `json:"genuine"`
}

// judgeByGo is the oracle: what docket verify --policy or --charter says.
func judgeByGo(ctx context.Context, c trial, now time.Time) verdict {
	no := func(err error) verdict { return verdict{Verdict: "refused", Reason: err.Error()} }
	var policies client.Policies
	policy, err := proof.ParsePolicy(c.pin)
	if id, notID := record.ParseID(string(c.pin)); notID == nil {
		policies = client.PinnedCharter{ID: id}
	} else if err != nil {
		return no(err)
	} else {
		policies = client.SinglePolicy{Only: policy}
	}
	if bytes.HasPrefix(c.file, []byte("docket/split-view@")) {
		e, err := proof.ParseEvidence(c.file)
		if err == nil {
			_, err = e.Verify(policy.LogKeys(e.Origin())...)
		}
		if err != nil {
			return no(err)
		}
		return verdict{Verdict: "verified", Facts: facts{Origin: e.Origin()}}
	}
	included := false
	if r, err := proof.ParseReceipt(c.file); err == nil && policy != nil {
		_, err = r.Verify(policy, now)
		included = err == nil
	}
	r, err := client.Verify(ctx, c.file, policies, now)
	if err != nil {
		v := no(err)
		v.Included = included
		return v
	}
	cp := r.Published.Checkpoint()
	f := facts{
		Kind: string(r.Statement.Kind), Thread: string(r.Statement.Thread), Record: r.ID.String(), Issuer: r.Statement.Issuer,
		Origin: cp.Origin, Index: fmt.Sprint(r.Index), Size: fmt.Sprint(cp.Size), Admitted: r.Entry.Admitted.Format("2006-01-02T15:04:05.000Z"),
		Policy: r.Policy.Fingerprint(), PostQuantum: r.Published.PostQuantum(),
	}
	if by := r.Published.ExistedBy(); !by.IsZero() {
		f.ExistedBy, f.Witnesses = by.Format("2006-01-02 15:04:05Z"), r.Published.SatisfiedMembers(by)
	}
	for _, s := range r.Signers {
		f.Signers = append(f.Signers, s.KeyID)
	}
	if chain := r.Chain; chain != nil {
		for _, tree := range chain.Trees.Extended {
			f.Continued = append(f.Continued, fmt.Sprint(tree.Size))
		}
		for _, tree := range chain.Trees.Unproven {
			f.Unproven = append(f.Unproven, fmt.Sprint(tree.Size))
		}
		if !chain.Ledger.IsZero() {
			f.Ledger, f.Charter = chain.Ledger.String(), fmt.Sprint(chain.NewestCharter)
		}
	}
	if r.Authorship == client.AuthorshipByChain {
		f.Genuine = f.Signers // the rules were asked, and each signature is one of a known key
	}
	return verdict{Verdict: "verified", Included: included, Facts: f}
}

// driver runs trials on the page: it judges each with the page's own code.
const driver = `(async (trials, now) => {
	const V = docketVerifier, answers = [], trusted = new Map();
	await V.started;
	for (const [pin, file] of trials) {
		if (!trusted.has(pin)) {
			let trust, why = "";
			try { trust = await V.readTrust(atob(pin), now); } catch (err) { why = err.message; }
			trusted.set(pin, { trust, why });
		}
		const { trust, why } = trusted.get(pin);
		if (why) { answers.push({ verdict: "refused", reason: why, facts: {} }); continue; }
		const r = await V.judge(atob(file), trust, now);
		answers.push({ verdict: r.verdict, reason: r.reason, included: r.included === true, unchecked: r.steps.filter(s => s.state === "unchecked").map(s => s.says), facts: { ...r.facts, continued: r.facts.continued ?? [], unproven: r.facts.unproven ?? [] } });
	}
	return answers;
})(%s, %d)`

// judgeOnPage puts trials to the page, many at a time.
func judgeOnPage(t *testing.T, p *browsertest.Page, now time.Time, trials []trial) (all []verdict) {
	t.Helper()
	b64 := base64.StdEncoding.EncodeToString
	for some := range slices.Chunk(trials, 400) {
		var args [][2]string
		for _, c := range some {
			args = append(args, [2]string{b64(c.pin), b64(c.file)})
		}
		text, err := json.Marshal(args)
		must(t, err)
		all = append(all, browsertest.Evaluate[[]verdict](p, fmt.Sprintf(driver, text, now.Unix()))...)
	}
	return all
}

// openPage opens the file as a reader does who has kept it.
func openPage(t *testing.T) *browsertest.Page {
	t.Helper()
	name, err := filepath.Abs(Name)
	must(t, err)
	p := browsertest.Open(t, "file://"+name)
	p.Do(chromedp.Navigate("file://" + name))
	return p
}

// agree holds page and oracle together. It returns how many verified.
func agree(t *testing.T, p *browsertest.Page, now time.Time, trials []trial) (verified int) {
	t.Helper()
	answers := judgeOnPage(t, p, now, trials)
	for i, c := range trials {
		want, got := judgeByGo(t.Context(), c, now), answers[i]
		if _, err := proof.ParseReceipt(c.file); err != nil || len(c.pin) == len(record.ID{}.String()) {
			got.Included = false
		}
		if want.Verdict != got.Verdict || want.Included != got.Included {
			t.Errorf("%s: docket verify says %s (%s), included %t; the page says %s (%s), included %t", c.name, want.Verdict, want.Reason, want.Included, got.Verdict, got.Reason, got.Included)
			continue
		}
		if want.Verdict != "verified" {
			continue
		}
		verified++
		if got.Facts.Kind != "" && !strings.Contains(strings.Join(got.Unchecked, "\n"), "issuer NOT CHECKED") {
			t.Errorf("%s: the page does not say that the issuer is NOT CHECKED, but %q", c.name, got.Unchecked)
		}
		if want.Facts.Genuine == nil {
			got.Facts.Genuine = nil // without the charter or a signer the rules say nothing; the page may know the key
		}
		if w, g := fmt.Sprintf("%+v", want.Facts), fmt.Sprintf("%+v", got.Facts); w != g {
			t.Errorf("%s: docket verify says\n%s\nthe page says\n%s", c.name, w, g)
		}
	}
	return verified
}

// mutations are one small change each.
func mutations(name string, pin, file []byte) (all []trial) {
	add := func(how string, at int, mutated []byte) {
		all = append(all, trial{fmt.Sprintf("%s, %s %d", name, how, at), pin, mutated})
	}
	for i := range file {
		mutated := bytes.Clone(file)
		mutated[i] ^= 1 << (i % 8)
		add("a bit of byte", i, mutated)
	}
	for i := 0; i < len(file); i += 13 {
		add("cut before byte", i, file[:i])
		add("without byte", i, slices.Concat(file[:i], file[i+1:]))
		add("a space before byte", i, slices.Insert(bytes.Clone(file), i, ' '))
	}
	lines := bytes.SplitAfter(file, []byte("\n"))
	join := func(lines [][]byte) []byte { return slices.Concat(lines...) }
	for i := range lines {
		add("without line", i, join(slices.Delete(slices.Clone(lines), i, i+1)))
		add("twice line", i, join(slices.Insert(slices.Clone(lines), i, lines[i])))
		add("CRLF at line", i, slices.Concat(join(lines[:i]), bytes.ReplaceAll(lines[i], []byte("\n"), []byte("\r\n")), join(lines[i+1:])))
		if text, padded := bytes.CutSuffix(lines[i], []byte("=\n")); padded { // bits that base64 does not use
			text = bytes.Clone(bytes.TrimSuffix(text, []byte("=")))
			text[len(text)-1]++
			add("stray bits in line", i, slices.Concat(join(lines[:i]), text, lines[i][len(text):], join(lines[i+1:])))
		}
		if i > 0 {
			swapped := slices.Clone(lines)
			swapped[i-1], swapped[i] = swapped[i], swapped[i-1]
			add("swapped with the one before, line", i, join(swapped))
		}
	}
	add("CRLF everywhere", 0, bytes.ReplaceAll(file, []byte("\n"), []byte("\r\n")))
	add("a byte order mark", 0, append([]byte("\ufeff"), file...))
	add("a newline at the end", 0, append(bytes.Clone(file), '\n'))
	return all
}

// The formats' golden files, and each with one byte changed.
func TestGoldenFilesAgree(t *testing.T) {
	p := openPage(t)
	now := time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)
	pin := goldenFile(t, "policy.txt")
	var trials []trial
	for _, name := range []string{"one.tlog-proof", "chain.tlog-proof", "same-size.split-view", "rewritten.split-view", "empty-root.split-view", "entry.bundle", "policy.txt"} {
		file := goldenFile(t, name)
		trials = append(trials, trial{name, pin, file})
		for i := 0; i < len(file); i += 151 {
			mutated := bytes.Clone(file)
			mutated[i] ^= 1 << (i % 7)
			trials = append(trials, trial{fmt.Sprintf("%s, byte %d", name, i), pin, mutated})
		}
	}
	if n := agree(t, p, now, trials); n < 3 {
		t.Errorf("%d of the golden files verify, want the three pieces of evidence at least", n)
	}
}

func goldenFile(t *testing.T, name string) []byte {
	t.Helper()
	return readFile(t, filepath.Join("..", "..", "ledger", "proof", "testdata", "golden", name))
}

// A small receipt with each byte, each line, and each thing that it says changed.
func TestReceiptsAgree(t *testing.T) {
	p := openPage(t)
	now := time.Now().Truncate(time.Second)
	c := newCast(now)
	l := standardLog(t, c.policy(), now.Add(-2*time.Minute))
	leaves := l.leaves()
	last := len(leaves) - 1
	policy, policyPQ := []byte(c.policy()), []byte(c.policyPQ())
	receipt := receiptOf(leaves, last, c.lines)
	trials := append(mutations("receipt", policy, receipt), saidByWitnesses(c, leaves)...)
	trials = append(trials, trial{"receipt", policy, receipt}, trial{"post-quantum", policyPQ, receiptOf(leaves, last, c.linesPQ)})
	for i := range leaves {
		trials = append(trials, trial{fmt.Sprintf("entry %d", i), policy, receiptOf(leaves, i, c.lines)})
	}
	trials = append(trials, hostileEntries(t, c, leaves)...)
	trials = append(trials, hostileSignatures(t, c, leaves)...)
	trials = append(trials, policies(t, c, receipt)...)
	trials = append(trials, accusations(t, c, leaves)...)
	if n := agree(t, p, now, trials); n < 20 {
		t.Errorf("%d of %d verify, want 20 at least", n, len(trials))
	}
}

// saidByWitnesses are signature lines of all sorts over a tree that is right.
func saidByWitnesses(c cast, leaves [][]byte) (all []trial) {
	policy, last := []byte(c.policy()), len(leaves)-1
	add := func(name string, pin []byte, lines func(proof.Checkpoint) string) {
		all = append(all, trial{name, pin, receiptOf(leaves, last, lines)})
	}
	for _, s := range []struct {
		name  string
		stamp uint64
	}{
		{"no time", 0}, {"the first second", 1}, {"2^63 - 1", 1<<63 - 1}, {"2^63", 1 << 63}, {"2^64 - 1", 1<<64 - 1}, {"2^53 + 1", 1<<53 + 1},
		{"five minutes ahead", c.now + 300}, {"and a second", c.now + 301}, {"now", c.now}, {"before the entry was admitted", c.now - 1000}, {"just so", c.now - 421}, {"a second before", c.now - 420},
	} {
		add("stamped: "+s.name, policy, func(cp proof.Checkpoint) string {
			return c.log.line(cp, 0) + c.w[0].line(cp, s.stamp) + c.w[1].line(cp, c.now-50)
		})
		add("stamped twice: "+s.name, policy, func(cp proof.Checkpoint) string {
			return c.log.line(cp, 0) + c.w[0].line(cp, s.stamp) + c.w[0].line(cp, c.now-40) + c.w[2].line(cp, c.now-50)
		})
		add("log's ML-DSA stamped: "+s.name, []byte(c.policyPQ()), func(cp proof.Checkpoint) string {
			return c.logPQ.line(cp, s.stamp) + c.wPQ[0].line(cp, c.now-60) + c.wPQ[1].line(cp, s.stamp)
		})
		add("log's ML-DSA alone stamped: "+s.name, []byte(c.policyPQ()), func(cp proof.Checkpoint) string {
			return c.logPQ.line(cp, s.stamp) + c.wPQ[0].line(cp, c.now-60) + c.wPQ[1].line(cp, c.now-50)
		})
	}
	stranger, otherLog := newTestKey(proof.CosignatureEd25519, "stranger.example"), newTestKey(proof.Ed25519, "elsewhere.example")
	namesake := newTestKey(proof.Ed25519, origin+"x")
	namesake.name = origin // another key under the log's name
	flipped := func(line string) string {
		b := []byte(line)
		b[len(b)-5] ^= 1
		return string(b)
	}
	add("one cosignature", policy, func(cp proof.Checkpoint) string { return c.log.line(cp, 0) + c.w[0].line(cp, c.now) })
	add("none", policy, func(cp proof.Checkpoint) string { return c.log.line(cp, 0) })
	add("one witness twice", policy, func(cp proof.Checkpoint) string {
		return c.log.line(cp, 0) + c.w[0].line(cp, c.now) + c.w[0].line(cp, c.now-1)
	})
	add("a stranger", policy, func(cp proof.Checkpoint) string { return c.lines(cp) + stranger.line(cp, c.now) })
	add("a stranger's false line", policy, func(cp proof.Checkpoint) string { return c.lines(cp) + flipped(stranger.line(cp, c.now)) })
	add("a known witness's false line beside a quorum", policy, func(cp proof.Checkpoint) string { return c.lines(cp) + flipped(c.w[1].line(cp, c.now)) })
	add("the log's own name, another key", policy, func(cp proof.Checkpoint) string { return c.lines(cp) + namesake.line(cp, 0) })
	add("no log signature", policy, func(cp proof.Checkpoint) string { return c.w[0].line(cp, c.now) + c.w[1].line(cp, c.now) })
	add("another log's signature", policy, func(cp proof.Checkpoint) string {
		return otherLog.line(cp, 0) + c.w[0].line(cp, c.now) + c.w[1].line(cp, c.now)
	})
	add("a line without a signature", policy, func(cp proof.Checkpoint) string { return c.lines(cp) + c.w[1].lineOf(nil) })
	add("a signature of 63 bytes", policy, func(cp proof.Checkpoint) string { return c.lines(cp) + c.w[1].lineOf(make([]byte, 71)) })
	add("a stranger's signature of one byte", policy, func(cp proof.Checkpoint) string { return c.lines(cp) + stranger.lineOf([]byte{1}) })
	add("a stranger's signature that is too long", policy, func(cp proof.Checkpoint) string { return c.lines(cp) + stranger.lineOf(make([]byte, 8189)) })
	add("101 lines", policy, func(cp proof.Checkpoint) string { return c.lines(cp) + strings.Repeat(stranger.line(cp, 1), 98) })
	add("100 lines", policy, func(cp proof.Checkpoint) string { return c.lines(cp) + strings.Repeat(stranger.line(cp, 1), 97) })
	for _, name := range []string{"new\u00a0space", "hidden\u200bspace", "\ufeffmark", "plus+name", "z\u0301", "\xff", "\xed\xa0\x80", "名前", "\U000e0001tag", "bidi\u202e", strings.Repeat("n", 255), strings.Repeat("n", 256)} {
		odd := newTestKey(proof.Ed25519, name)
		add(fmt.Sprintf("a stranger called %q", name), policy, func(cp proof.Checkpoint) string { return c.lines(cp) + odd.line(cp, 0) })
	}
	for _, odd := range []string{"9", "05", "+5", "-5", "5.0", "5e0", "18446744073709551615", "18446744073709551616", "9007199254740993", "", " 5", "٥"} {
		receipt := receiptOf(leaves, last, c.lines)
		all = append(all, trial{"index " + odd, policy, bytes.Replace(receipt, []byte("\nindex 4\n"), []byte("\nindex "+odd+"\n"), 1)},
			trial{"size " + odd, policy, bytes.Replace(receipt, []byte("\n"+origin+"\n5\n"), []byte("\n"+origin+"\n"+odd+"\n"), 1)})
	}
	for _, name := range []string{"docket.example/other", "", "docket.example/test ", "\x01", "\xc3", "docket.example/té"} {
		all = append(all, trial{fmt.Sprintf("origin %q", name), policy, bytes.Replace(receiptOf(leaves, last, c.lines), []byte("\n"+origin+"\n"), []byte("\n"+name+"\n"), 1)})
	}
	// A tree of no entries, signed by all.
	empty := proof.Checkpoint{Origin: origin, Root: proof.EmptyRoot()}
	note := string(empty.Body()) + "\n" + c.lines(empty)
	all = append(all, trial{"an entry of the empty tree", policy, []byte("c2sp.org/tlog-proof@v1\nextra AA==\nindex 0\n\n" + note)})
	one := leaves[:1]
	for _, odd := range []string{"0", "1", "2", "18446744073709551615"} {
		all = append(all, trial{"index " + odd + " of one", policy, bytes.Replace(receiptOf(one, 0, c.lines), []byte("\nindex 0\n"), []byte("\nindex "+odd+"\n"), 1)})
	}
	// A tree of 2^63 + 1 entries of which the last one is known.
	huge := proof.Checkpoint{Origin: origin, Size: 1<<63 + 1, Root: proof.NodeHash(proof.Hash{7}, proof.LeafHash(leaves[last]))}
	at := func(index uint64) []byte {
		return fmt.Appendf(nil, "c2sp.org/tlog-proof@v1\nextra %s\nindex %d\n%s\n\n%s\n%s", base64.StdEncoding.EncodeToString(leaves[last]), index, proof.Hash{7}, huge.Body(), c.lines(huge))
	}
	return append(all, trial{"the last of 2^63 + 1", policy, at(1 << 63)}, trial{"the one before", policy, at(1<<63 - 1)})
}

// hostileEntries are on a ledger that admits anything.
func hostileEntries(t *testing.T, c cast, leaves [][]byte) (all []trial) {
	good, err := record.ParseEntry(leaves[len(leaves)-1])
	must(t, err)
	line := string(leaves[len(leaves)-1])
	payload := string(good.Envelope.Payload)
	add := func(name, line string) {
		on := append(slices.Clone(leaves), []byte(line))
		all = append(all, trial{"an entry with " + name, []byte(c.policy()), receiptOf(on, len(on)-1, c.lines)})
	}
	withPayload := func(name, payload string) {
		e := good
		e.Envelope.Payload = []byte(payload)
		add(name, string(e.Marshal()))
	}
	add("a space", line+" ")
	add("nothing", "{}")
	add("a time with a comma", strings.Replace(line, ".", ",", 1))
	add("a time at 24:00", line[:24]+"24:00:00.000Z"+line[37:])
	add("a time on 30 February", line[:13]+"2027-02-30"+line[23:])
	add("a time in the year 0", line[:13]+"0000-01-01"+line[23:])
	add("a time in the far future", line[:13]+"9999-12-31"+line[23:])
	add("a signature twice", strings.Replace(line, `"signatures":[`, `"signatures":[`+line[strings.Index(line, `{"keyid"`):len(line)-3]+",", 1))
	add("no signatures", line[:strings.Index(line, `{"keyid"`)]+"]}}")
	add("an empty signature", line[:strings.Index(line, `"sig":"`)]+`"sig":""}]}}`)
	add("unpadded base64", strings.Replace(line, `"}]}}`, `="}]}}`, 1))
	add("an escape", strings.Replace(line, "admitted", `\u0061dmitted`, 1))
	add("48,001 bytes", line+strings.Repeat("x", 48_001-len(line)))
	for name, odd := range map[string]string{
		"a lone surrogate": `"x":"\ud800"`, "the halves exchanged": `"x":"\udc00\ud800"`, "half and an escape": `"x":"\ud83d\n"`,
		"a name twice": `"x":1,"x":2`, "a name twice, escaped": `"x":1,"\u0078":2`, "null": `"x":null`, "a fraction": `"x":1.5`, "an exponent": `"x":1e3`,
		"2^53": `"x":9007199254740992`, "2^64 + 1": `"x":18446744073709551617`, "minus zero": `"x":-0`, "a leading zero": `"x":01`, "a plus": `"x":+1`,
		"a control character": "\"x\":\"\x01\"", "invalid UTF-8": "\"x\":\"\xff\"", "an encoded surrogate": "\"x\":\"\xed\xa0\x80\"", "an overlong slash": "\"x\":\"\xc0\xaf\"",
		"17 lists": `"x":` + strings.Repeat("[", 17) + strings.Repeat("]", 17), "a comma at the end": `"x":1,`, "a strange escape": `"x":"\x41"`, "an open string": `"x":"`,
		"NaN": `"x":NaN`, "a comment": `"x":1/**/`, "single quotes": `'x':1`,
	} {
		withPayload(name, strings.Replace(payload, `"predicate":{`, `"predicate":{`+odd+`,`, 1))
	}
	withPayload("two values", payload+"{}")
	withPayload("white space around it", " \n\t"+payload+"\r\n")
	withPayload("a no-break space after it", payload+"\u00a0")
	withPayload("a byte order mark", "\ufeff"+payload)
	withPayload("a list", "[]")
	withPayload("an unknown member", strings.Replace(payload, `"predicate":{`, `"extra":1,"predicate":{`, 1))
	withPayload("another type", strings.Replace(payload, "https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v2", 1))
	withPayload("no kind", strings.Replace(payload, "urn:docket:", "urn:other:", 1))
	withPayload("an escape that is only a spelling", strings.Replace(payload, `"issuer":"acme-cloud"`, `"issuer":"acm\u0065-cloud"`, 1))
	return all
}

// hostileSignatures are Ed25519 signatures on which implementations have differed.
func hostileSignatures(t *testing.T, c cast, leaves [][]byte) (all []trial) {
	cp := proof.Checkpoint{Origin: origin, Size: uint64(len(leaves)), Root: root(leaves)}
	id := keyIDOf(origin, append([]byte{byte(proof.Ed25519)}, c.log.raw...))
	good, err := base64.StdEncoding.DecodeString(strings.Fields(c.log.line(cp, 0))[2])
	must(t, err)
	sig := good[len(id):]
	add := func(name string, sig []byte) {
		all = append(all, trial{"log signature: " + name, []byte(c.policy()), receiptOf(leaves, 4, func(cp proof.Checkpoint) string {
			return c.log.lineOf(sig) + c.w[0].line(cp, c.now) + c.w[1].line(cp, c.now)
		})})
	}
	// S + L is the same number modulo the group's order, and must be below it (RFC 8032, section 5.1.7).
	order := littleEndian(t, "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed")
	larger, carry := bytes.Clone(sig), 0
	for i := range order {
		sum := int(larger[32+i]) + int(order[i]) + carry
		larger[32+i], carry = byte(sum), sum>>8
	}
	add("S + L", larger)
	add("zeros", make([]byte, 64))
	add("R the neutral point, S zero", append([]byte{1}, make([]byte, 63)...))
	// Whoever has the key can make one with r = 0: R is of small order, and the equation holds.
	neutral := append([]byte{1}, make([]byte, 31)...)
	secret := sha512.Sum512(c.log.ed.Seed())
	secret[0], secret[31] = secret[0]&248, secret[31]&127|64
	challenge := sha512.Sum512(slices.Concat(neutral, c.log.raw, cp.Body()))
	number := func(little []byte) *big.Int {
		little = bytes.Clone(little)
		slices.Reverse(little)
		return new(big.Int).SetBytes(little)
	}
	s := new(big.Int).Mul(number(challenge[:]), number(secret[:32]))
	scalar := s.Mod(s, number(order)).FillBytes(make([]byte, 32))
	slices.Reverse(scalar)
	add("R the neutral point, and the equation holds", append(neutral, scalar...))
	add("a byte more", append(bytes.Clone(sig), 0))
	add("a byte less", sig[:63])
	highBit := bytes.Clone(sig)
	highBit[31] ^= 0x80
	add("R of the other sign", highBit)
	return all
}

// accusations are evidence files against a log: one that is right, and some that prove nothing.
func accusations(t *testing.T, c cast, leaves [][]byte) (all []trial) {
	other := slices.Clone(leaves)
	other[0] = leaves[1]
	note := func(leaves [][]byte) []byte {
		cp := proof.Checkpoint{Origin: origin, Size: uint64(len(leaves)), Root: root(leaves)}
		return []byte(string(cp.Body()) + "\n" + c.log.line(cp, 0))
	}
	add := func(name string, first, second []byte, nodes ...proof.Hash) {
		file := "docket/split-view@v1\n"
		for _, h := range nodes {
			file += h.String() + "\n"
		}
		file += "\n" + string(first)
		if second != nil {
			file += "\n" + string(second)
		}
		all = append(all, trial{"evidence: " + name, []byte(c.policy()), []byte(file)})
	}
	nodes := []proof.Hash{root(leaves[:2]), proof.LeafHash(leaves[2]), proof.LeafHash(leaves[3]), proof.LeafHash(leaves[4])}
	add("the larger begins otherwise", note(other[:3]), note(leaves), nodes...)
	add("the larger begins with the smaller", note(leaves[:3]), note(leaves), nodes...)
	add("other nodes", note(other[:3]), note(leaves), nodes[0], nodes[2], nodes[1], nodes[3])
	add("a node less", note(other[:3]), note(leaves), nodes[:3]...)
	add("a node more", note(other[:3]), note(leaves), append(slices.Clone(nodes), nodes[0])...)
	add("the larger first", note(leaves), note(other[:3]), nodes...)
	add("twice the same", note(leaves), note(leaves))
	add("one", note(leaves), nil)
	add("one empty tree", note(nil), nil)
	add("an empty tree and another", note(nil), note(leaves), root(leaves[:4]), nodes[3])
	one, two := note(leaves), note(other)
	if a, b := root(leaves), root(other); bytes.Compare(a[:], b[:]) > 0 {
		one, two = two, one
	}
	add("two of a size", one, two)
	add("two of a size, out of order", two, one)
	add("two of a size and a node", one, two, nodes[0])
	add("two logs", bytes.Replace(note(other[:3]), []byte(origin+"\n"), []byte("docket.example/other\n"), 1), note(leaves), nodes...)
	return all
}

// policies are choices of whom to trust, for one receipt: most of them must be refused.
func policies(t *testing.T, c cast, receipt []byte) (all []trial) {
	good := c.policy()
	add := func(name, policy string) {
		all = append(all, trial{"policy: " + name, []byte(policy), receipt})
	}
	replace := func(name, old, new string) {
		if !strings.Contains(good, old) {
			t.Fatalf("%s: no %q in the policy", name, old)
		}
		add(name, strings.Replace(good, old, new, 1))
	}
	for i := range good { // each byte
		if i%3 == 0 {
			mutated := []byte(good)
			mutated[i] ^= 1 << (i % 7)
			all = append(all, trial{fmt.Sprintf("policy: byte %d", i), mutated, receipt})
		}
	}
	for _, k := range []string{"0", "1", "3", "4", "02", "+2", "-1", "any", "all", "18446744073709551618", "2.0", "9007199254740993"} {
		replace("threshold "+k, "two-of-three 2", "two-of-three "+k)
	}
	replace("a member twice", "w1 w2 w3\n", "w1 w1 w3\n")
	replace("a member that nobody is", "w1 w2 w3\n", "w1 w2 w4\n")
	replace("none as a member", "w1 w2 w3\n", "w1 w2 none\n")
	replace("no members", " w1 w2 w3\n", "\n")
	replace("quorum none", "quorum two-of-three", "quorum none")
	replace("quorum of one witness", "quorum two-of-three", "quorum w1")
	replace("quorum of an absent witness", "quorum two-of-three", "quorum w2")
	replace("two quorums", "quorum two-of-three\n", "quorum two-of-three\nquorum w1\n")
	replace("no quorum", "quorum two-of-three\n", "")
	replace("a truncated quorum", "quorum two-of-three\n", "quorum two-of-three")
	replace("a group called none", "group two-of-three", "group none")
	replace("a name twice", "witness w2 ", "witness w1 ")
	replace("a comment", "quorum", "# a comment\n\n  \t\nquorum")
	replace("a comment with a control character", "quorum", "# \x07\nquorum")
	replace("tabs", "quorum ", "\tquorum\t \t")
	replace("a no-break space", "quorum ", "quorum\u00a0")
	replace("CRLF", "\n", "\r\n")
	replace("an unknown line", "quorum", "constructor x\nquorum")
	replace("a URL with an upper-case scheme", "https://docket.example", "HTTPS://docket.example")
	replace("a URL without a host", "https://docket.example", "https:///x")
	replace("two URLs", "https://docket.example", "https://docket.example https://docket.example")
	replace("no URL", " https://docket.example", "")
	replace("a log's key as a witness's", c.w[1].vkey(), vkeyOf("w2.example/w", proof.CosignatureEd25519, c.log.raw))
	replace("a key twice", c.w[1].vkey(), vkeyOf("w2.example/w", proof.CosignatureEd25519, c.w[0].raw))
	replace("a witness's type for the log", c.log.vkey(), vkeyOf(origin, proof.CosignatureEd25519, c.log.raw))
	replace("a log's type for a witness", c.w[1].vkey(), vkeyOf("w2.example/w", proof.Ed25519, c.w[1].raw))
	replace("an unknown type", c.w[1].vkey(), vkeyOf("w2.example/w", 9, c.w[1].raw))
	replace("a key of 31 bytes", c.w[1].vkey(), vkeyOf("w2.example/w", proof.CosignatureEd25519, c.w[1].raw[:31]))
	replace("an upper-case key ID", fmt.Sprintf("%x", keyIDOf(origin, append([]byte{1}, c.log.raw...))), strings.ToUpper(fmt.Sprintf("%x", keyIDOf(origin, append([]byte{1}, c.log.raw...)))))
	for name, y := range map[string]string{
		"order 1": "01", "order 2": "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec", "order 4": "00", "order 8": "05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826",
		"order 8, the other": "7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7", "order 1, x odd": "8000000000000000000000000000000000000000000000000000000000000001",
		"y = p": "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed", "y = p + 3": "7ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff0", "y = 2^255 - 1": "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "no point": "02",
	} {
		raw := littleEndian(t, strings.Repeat("0", 64-len(y))+y)
		replace("a witness of "+name, c.w[1].vkey(), vkeyOf("w2.example/w", proof.CosignatureEd25519, raw))
		// Under a key of small order the point itself, with S zero, signs a share of all messages.
		small := &testKey{name: "w2.example/w", alg: proof.CosignatureEd25519, raw: raw}
		forged := slices.Concat(binaryTime(c.now), raw, make([]byte, 32))
		all = append(all, trial{"a forged cosignature of " + name, []byte(strings.Replace(good, c.w[1].vkey(), small.vkey(), 1)), append(bytes.Clone(receipt), small.lineOf(forged)...)})
	}
	twin := newTestKey(proof.CosignatureEd25519, "other")
	twin.name = c.w[0].name
	add("one operator's keys in two groups", strings.Replace(good, "group two-of-three", "witness w1b "+twin.vkey()+"\ngroup pair 1 w1b\ngroup two-of-three", 1)+"")
	add("one operator's keys in two groups of the quorum", strings.NewReplacer("group two-of-three 2 w1 w2 w3", "witness w1b "+twin.vkey()+"\ngroup pair 1 w1b\ngroup two-of-three 2 w1 w2 w3 pair").Replace(good))
	add("one operator's keys in one group", strings.NewReplacer("group two-of-three 2 w1 w2 w3", "witness w1b "+twin.vkey()+"\ngroup two-of-three 2 w1 w1b w2 w3").Replace(good))
	add("one operator alone", strings.NewReplacer("group two-of-three 2 w1 w2 w3", "witness w1b "+twin.vkey()+"\ngroup two-of-three 1 w1 w1b").Replace(good))
	add("both kinds of keys", c.policyPQ())
	add("ML-DSA alone", strings.NewReplacer("log "+c.log.vkey()+"\n", "").Replace(c.policyPQ()))
	add("no log", "quorum none\n")
	add("nothing", "")
	add("another log", "log "+newTestKey(proof.Ed25519, "elsewhere.example").vkey()+"\nquorum none\n")
	return all
}

func binaryTime(stamp uint64) []byte {
	var b [8]byte
	for i := range b {
		b[i] = byte(stamp >> (56 - 8*i))
	}
	return b[:]
}

// What the page says of a policy before it is trusted is what docket policy check says.
func TestPoliciesAgree(t *testing.T) {
	p := openPage(t)
	c := newCast(time.Now())
	type shown struct {
		Fingerprint, Fork, Quorum string
		Warnings                  []string
	}
	var texts []string
	for _, c := range policies(t, c, nil) {
		texts = append(texts, string(c.pin))
	}
	texts = append(texts, string(goldenFile(t, "policy.txt")))
	args, err := json.Marshal(texts)
	must(t, err)
	answers := browsertest.Evaluate[[]*shown](p, fmt.Sprintf(`(async texts => {
		const answers = [];
		for (const text of texts) {
			try {
				const p = await parsePolicy(utf8Bytes(text));
				answers.push({ Fingerprint: p.fingerprint, Fork: String(p.quorum ? forkCost(p.quorum) : 0), Quorum: quorumText(p), Warnings: warningsOf(p) });
			} catch (err) { answers.push(null); }
		}
		return answers;
	})(%s)`, args))
	read := 0
	for i, text := range texts {
		text := strings.ToValidUTF8(text, "\ufffd") // as JSON carries it
		want, err := proof.ParsePolicy([]byte(text))
		if (err == nil) != (answers[i] != nil) {
			t.Errorf("docket policy check says %v of\n%s", err, text)
		}
		if err != nil || answers[i] == nil {
			continue
		}
		read++
		k, n := want.QuorumSize()
		quorum := fmt.Sprintf("%s: %d of %d (%s)", want.QuorumName(), k, n, strings.Join(want.QuorumMembers(), ", "))
		if want.QuorumIsNone() {
			quorum = "none"
		}
		w := shown{want.Fingerprint(), fmt.Sprint(want.ForkCost()), quorum, want.Warnings()}
		if fmt.Sprintf("%q", w) != fmt.Sprintf("%q", *answers[i]) {
			t.Errorf("docket policy check says\n%q\nthe page says\n%q\nof\n%s", w, *answers[i], text)
		}
	}
	if read < 10 {
		t.Errorf("%d policies could be read, want 10 at least", read)
	}
}

// Random changes: several at once, of what is signed and of who is trusted.
func TestRandomMutationsAgree(t *testing.T) {
	p := openPage(t)
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("go test ./server/verifier -run %s -seed %d", t.Name(), *seed)
	r := rand.New(rand.NewPCG(*seed, 0))
	now := time.Now().Truncate(time.Second)
	c := newCast(now)
	l := standardLog(t, c.policy(), now.Add(-2*time.Minute))
	leaves := l.leaves()
	files := [][]byte{receiptOf(leaves, 4, c.lines), receiptOf(leaves, 3, c.linesPQ), slices.Concat(receiptOf(leaves, 0, c.lines), receiptOf(leaves, 1, c.lines), receiptOf(leaves, 4, c.lines)), goldenFile(t, "rewritten.split-view")}
	pins := [][]byte{[]byte(c.policy()), []byte(c.policyPQ()), goldenFile(t, "policy.txt"), []byte(l.Head("charter").String())}
	alphabet := []byte("\n\r\t +=/0123456789abcxyzABCXYZ—\x00\xff{}[]\",:")
	var trials []trial
	for i := range 1000 {
		file, pin := bytes.Clone(files[r.IntN(len(files))]), pins[r.IntN(len(pins))]
		if bytes.HasPrefix(file, []byte("docket/")) {
			pin = pins[2] // evidence takes a policy
		}
		for range 1 + r.IntN(3) {
			at := r.IntN(len(file))
			switch r.IntN(5) {
			case 0:
				file[at] = alphabet[r.IntN(len(alphabet))]
			case 1:
				file = slices.Delete(file, at, min(len(file), at+1+r.IntN(8)))
			case 2:
				file = slices.Insert(file, at, alphabet[r.IntN(len(alphabet))])
			case 3: // a line goes elsewhere
				lines := bytes.SplitAfter(file, []byte("\n"))
				from, to := r.IntN(len(lines)), r.IntN(len(lines))
				lines[from], lines[to] = lines[to], lines[from]
				file = slices.Concat(lines...)
			case 4: // or is said again
				lines := bytes.SplitAfter(file, []byte("\n"))
				file = slices.Concat(slices.Insert(lines, r.IntN(len(lines)), lines[r.IntN(len(lines))])...)
			}
			if len(file) == 0 {
				break
			}
		}
		trials = append(trials, trial{fmt.Sprintf("mutation %d of seed %d", i, *seed), pin, file})
	}
	agree(t, p, now, trials)
}

// A browser without ML-DSA-44 says so: it never takes for verified what docket verify refuses, nor
// refuses what that takes.
func TestWithoutMLDSA(t *testing.T) {
	p := openPage(t)
	p.Before(`{ const real = SubtleCrypto.prototype.importKey;
		SubtleCrypto.prototype.importKey = function (format, data, algorithm, ...rest) {
			return algorithm.name.startsWith("ML-DSA") ? Promise.reject(new DOMException("no", "NotSupportedError")) : real.call(this, format, data, algorithm, ...rest);
		}; }`)
	p.Do(chromedp.Reload())
	if text := p.Text("#has"); !strings.Contains(text, "ML-DSA-44: no") {
		t.Errorf("the page says %q", text)
	}
	now := time.Now().Truncate(time.Second)
	c := newCast(now)
	leaves := standardLog(t, c.policy(), now.Add(-2*time.Minute)).leaves()
	both, alone := []byte(c.policyPQ()), []byte(strings.Replace(c.policyPQ(), "log "+c.log.vkey()+"\n", "", 1))
	spoilt := func(line string) string { b := []byte(line); b[len(b)-9] = "AB"[b[len(b)-9]&1]; return string(b) }
	for _, s := range []struct {
		name string
		pin  []byte
		want string
		file []byte
	}{
		{"Ed25519 alone", []byte(c.policy()), "verified", receiptOf(leaves, 4, c.lines)},
		{"both", both, "partly", receiptOf(leaves, 4, c.linesPQ)},
		{"a false ML-DSA line", both, "partly", receiptOf(leaves, 4, func(cp proof.Checkpoint) string {
			return c.log.line(cp, 0) + c.w[0].line(cp, c.now) + c.w[1].line(cp, c.now) + spoilt(c.wPQ[0].line(cp, c.now))
		})},
		{"a log with ML-DSA alone", alone, "undecided", receiptOf(leaves, 4, c.linesPQ)},
		{"a quorum with ML-DSA alone", both, "undecided", receiptOf(leaves, 4, func(cp proof.Checkpoint) string {
			return c.log.line(cp, 0) + c.w[0].line(cp, c.now) + c.wPQ[1].line(cp, c.now)
		})},
		{"no quorum, whatever the lines are", both, "refused", receiptOf(leaves, 4, func(cp proof.Checkpoint) string { return c.log.line(cp, 0) + c.wPQ[1].line(cp, c.now) })},
	} {
		if got := judgeOnPage(t, p, now, []trial{{s.name, s.pin, s.file}})[0]; got.Verdict != s.want {
			t.Errorf("%s: %s (%s), want %s", s.name, got.Verdict, got.Reason, s.want)
		}
	}
}
