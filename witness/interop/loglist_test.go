package interop

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/transparency-dev/witness/config"
	"golang.org/x/mod/sumdb/note"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// checkList holds a list of logs to the witness network's rules (its log list format,
// in transparency-dev/witness-network, and what the cmd/validate there refuses; that is no
// module that could be required): after comments, empty lines and white space at the ends are
// gone, the header, then for each log vkey, perhaps origin, qpd, contact; an Ed25519 key
// of a signed note; a qpd from 1 to 2^31-1 without leading zeros; a contact that says
// something. It returns how many logs there are.
func checkList(text string) (logs int, err error) {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 || lines[0] != "logs/v0" {
		return 0, errors.New("it does not begin with logs/v0")
	}
	rest := strings.Join(lines[1:], "\n")
	if rest != "" {
		rest += "\n"
	}
	entry := regexp.MustCompile(`\Avkey (\S+)\n(?:origin .+\n)?qpd ([1-9][0-9]*)\ncontact .+\n`)
	for ; rest != ""; logs++ {
		m := entry.FindStringSubmatch(rest)
		if m == nil {
			return logs, fmt.Errorf("after %d logs: %.60q", logs, rest)
		}
		if _, err := note.NewVerifier(m[1]); err != nil {
			return logs, fmt.Errorf("after %d logs: %w", logs, err)
		}
		if _, err := strconv.ParseInt(m[2], 10, 32); err != nil {
			return logs, fmt.Errorf("after %d logs: %w", logs, err)
		}
		rest = rest[len(m[0]):]
	}
	return logs, nil
}

// What `docket init --contact` prints for others' lists of logs keeps the witness
// network's rules, of one generation of keys and of two; what it prints with --mldsa does
// not, which is why it takes a flag. Omniwitness's parser reads all of it.
func TestPrintedLists(t *testing.T) {
	bin, dir := program(t, "docket"), t.TempDir()
	init := func(args ...string) string {
		return run(t, bin, append([]string{"init", "--dir", dir, "--origin", "docket.example/list"}, args...)...)
	}
	init()
	const who = "ops@docket.example | https://docket.example/contact"
	check := func(what, text string, logs, valid int) {
		t.Helper()
		n, err := checkList(text)
		if n != valid || (err == nil) != (valid == logs) {
			t.Errorf("%s: %d logs, %v\n%s", what, n, err, text)
		}
		if read, err := config.ParsePublicWitnessConfig(strings.NewReader(text)); err != nil || len(read) != logs || read[0].Origin != "docket.example/list" || read[0].Contact != who {
			t.Errorf("%s: omniwitness reads %+v, %v", what, read, err)
		}
	}
	check("a new log", init("--contact", who), 1, 1)
	next := init("--next", "--contact", who)
	check("the next keys", next, 1, 1)
	both := init("--contact", who)
	check("two generations", both, 2, 2)
	if !strings.HasSuffix(both, strings.TrimPrefix(next, "logs/v0\n")) {
		t.Errorf("the next key is not that of the second generation:\n%s", both)
	}
	check("with ML-DSA", init("--mldsa", "--contact", who), 4, 1)
}

func TestCheckList(t *testing.T) {
	_, vkey := newKey(proof.Ed25519, "log.example/1")
	_, mldsa := newKey(proof.MLDSA44, "log.example/1")
	good := "vkey " + vkey + "\nqpd 86400\ncontact x\n"
	for text, valid := range map[string]bool{
		"":                        false,
		"logs/v0\n":               true,
		"# x\nlogs/v0\n\n" + good: true,
		"logs/v0\n" + good + good: true,
		good:                      false,
		"logs/v0\nvkey " + vkey + "\norigin a b\nqpd 1\ncontact x y\n": true,
		"logs/v0\nvkey " + mldsa + "\nqpd 86400\ncontact x\n":          false,
		"logs/v0\nvkey " + vkey + "\nqpd 0\ncontact x\n":               false,
		"logs/v0\nvkey " + vkey + "\nqpd 2147483648\ncontact x\n":      false,
		"logs/v0\nvkey " + vkey + "\nqpd 1\ncontact\n":                 false,
		"logs/v0\nvkey " + vkey + "\nqpd 1\norigin late\ncontact x\n":  false,
		"logs/v0\n" + good + "vkey " + vkey + "\nqpd 86400\n":          false,
		"logs/v0\nvkey " + vkey[:len(vkey)-4] + "\nqpd 1\ncontact x\n": false,
	} {
		if _, err := checkList(text); (err == nil) != valid {
			t.Errorf("%q: %v, want valid: %t", text, err, valid)
		}
	}
}
