package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/witness"
)

// `docket serve`, as it is installed, takes the cosignatures of omniwitness (two
// keys at one URL), of transparency-dev's witness on SQLite and of one of ours, all
// of which its quorum needs; is ended and started anew, shows them what it
// published last, and goes on.
func TestServeWithTheirWitnesses(t *testing.T) {
	const origin = "docket.example/serve"
	bin, dir := program(t, "docket"), t.TempDir()
	var text, list strings.Builder
	list.WriteString("logs/v0\n")
	for line := range strings.Lines(run(t, bin, "init", "--dir", dir, "--origin", origin)) {
		text.WriteString(line)
		fmt.Fprintf(&list, "vkey %sqpd 2147483647\ncontact x\n", strings.TrimPrefix(line, "log "))
	}
	logs := must(witness.ParseLogs([]byte(list.String())))
	omni, vkeys := newOmniwitness(t, "omni.example", logs)
	theirs, vkey := newPeerWitness(t, "w3.example", logs)
	ours := newDocketWitness(t, "w1.example", logs)
	fmt.Fprintf(&text, "witness omni-ed %s %s\nwitness omni-ml %s %s\nwitness theirs %s %s\nwitness ours %s %s\n",
		vkeys[0], omni, vkeys[1], omni, vkey, theirs, ours.keys[1], ours.url)
	text.WriteString("group omni all omni-ed omni-ml\ngroup everyone all omni theirs ours\nquorum everyone\n")
	policy := must(proof.ParsePolicy([]byte(text.String())))

	d := &testDocket{t: t, origin: origin, World: registertest.New(time.Now(), origin, text.String())}
	charter := filepath.Join(t.TempDir(), "charter.dsse.json")
	env := d.Charter()
	if err := os.WriteFile(charter, env.Marshal(), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, bin, "init", "--dir", dir, "--charter", charter)
	d.NoteAdmitted(env)

	for life := range 2 {
		var end func()
		d.url, end = serve(t, bin, dir)
		if life == 0 {
			d.publish(d.Authority())
		}
		for range 10 {
			receipt := must(proof.ParseReceipt(d.publish(d.importRecord())))
			if _, err := receipt.Verify(policy, time.Now()); err != nil {
				t.Errorf("life %d: %v", life, err)
			}
		}
		d.checkWitnesses(4, uint64(12+10*life))
		fetch := must(client.NewHTTPFetcher(must(url.Parse(d.url)), nil))
		key := must(fnote.NewVerifier(policy.LogKeys(origin)[0].String()))
		if err := fsck.New(origin, key, fetch, leafHashes, fsck.Opts{}).Check(t.Context()); err != nil {
			t.Errorf("life %d: fsck: %v", life, err)
		}
		end()
	}
}

// checkWitnesses: the ledger says of n witnesses that all cosigned its newest
// checkpoint, and that none ever failed.
func (d *testDocket) checkWitnesses(n int, size uint64) {
	d.t.Helper()
	_, _, text := call(d.t, "GET", d.url+"/v1/witnesses", nil)
	var said struct {
		Witnesses []struct {
			Size     uint64
			Failures int
		}
	}
	if err := json.Unmarshal(text, &said); err != nil {
		d.t.Fatal(err)
	}
	if len(said.Witnesses) != n {
		d.t.Errorf("%d witnesses, want %d", len(said.Witnesses), n)
	}
	for _, w := range said.Witnesses {
		if w.Size != size || w.Failures > 0 {
			d.t.Errorf("a witness is not at %d:\n%s", size, text)
		}
	}
}

// builtDir holds the programs that built has made.
var builtDir string

// built builds the program of the module around this one, and those of others' that this
// one requires as tools, once for all tests.
var built = sync.OnceValue(func() (err error) {
	if builtDir, err = os.MkdirTemp("", "built"); err != nil {
		return err
	}
	for from, programs := range map[string][]string{
		filepath.Join("..", "..", "cmd", "docket"): {"."},
		".": {"filippo.io/torchwood/cmd/litewitness", "filippo.io/torchwood/cmd/witnessctl"},
	} {
		c := exec.Command("go", append([]string{"build", "-buildvcs=false", "-o", builtDir + string(filepath.Separator)}, programs...)...)
		c.Dir = from
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("building %v: %w\n%s", programs, err, out)
		}
	}
	return nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if builtDir != "" {
		os.RemoveAll(builtDir)
	}
	os.Exit(status)
}

// program is the path of one of them.
func program(t *testing.T, name string) string {
	t.Helper()
	if err := built(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(builtDir, name)
}

func run(t *testing.T, bin string, args ...string) (stdout string) {
	t.Helper()
	var said bytes.Buffer
	c := exec.CommandContext(t.Context(), bin, args...)
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		t.Fatalf("docket %s: %v\n%s", strings.Join(args, " "), err, said.Bytes())
	}
	return string(out)
}

// serve runs `docket serve` until end is called.
func serve(t *testing.T, bin, dir string, args ...string) (url string, end func()) {
	t.Helper()
	var said bytes.Buffer
	c := exec.CommandContext(t.Context(), bin, append([]string{"serve", "--dir", dir, "--listen", "127.0.0.1:0"}, args...)...)
	c.Stderr = &said
	out := must(c.StdoutPipe())
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		c.Wait()
		t.Fatalf("docket serve said no URL: %v\n%s", err, said.Bytes())
	}
	return strings.TrimSpace(line), func() {
		c.Process.Signal(os.Interrupt)
		if err := c.Wait(); err != nil {
			t.Errorf("docket serve ended with %v\n%s", err, said.Bytes())
		}
	}
}
