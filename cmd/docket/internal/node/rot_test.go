package node_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/cosignatures"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
	"github.com/seed-53cf897a/docket/server"
)

// served is a ledger with some records on a disk, that serves.
type served struct {
	*testNode
	node  *node.Node
	url   string
	lines chan string // of the log
	fatal chan string
	end   func() error
}

// ledgerWith has n designations beside the charter and the authority, in tables: it was
// closed and opened again.
func (p *testNode) ledgerWith(files vfs.FS, n int) {
	l, _, err := p.openAndAdmit(files)
	check(p.t, err)
	p.admit(l, p.world.Authority())
	for i := range n {
		name := fmt.Sprintf("2026-%03d", i+1)
		p.admit(l, p.world.Designate(name, p.world.NewDesignation("Kestrel Hosting "+name)))
	}
	check(p.t, l.Register.Flush())
	check(p.t, l.Close())
	l, err = p.open(files) // writes out what the write-ahead log of the store has
	check(p.t, err)
	check(p.t, l.Close())
}

func (p *testNode) admit(n *node.Node, env record.Envelope) {
	p.t.Helper()
	_, _, err := n.Admit(p.t.Context(), env)
	check(p.t, err)
	p.world.NoteAdmitted(env)
	p.world.Now = time.Now()
}

// lineLog hands the lines of a log on.
type lineLog chan string

func (l lineLog) Write(line []byte) (int, error) {
	select {
	case l <- string(line):
	default:
	}
	return len(line), nil
}

// serve serves the ledger. Room is what its disk says, the node's own if nil.
func (p *testNode) serve(files vfs.FS, room func() error) *served {
	s := &served{testNode: p, lines: make(lineLog, 1000), fatal: make(chan string, 1)}
	var err error
	s.node, err = node.Open(p.t.Context(), node.Config{
		Files: files, Dir: "d/ledger", Keys: p.keys, Cosignatures: cosignatures.Config{Transport: p},
		Log:   slog.New(slog.NewTextHandler(lineLog(s.lines), nil)),
		Fatal: func(reason string) { s.fatal <- reason; select {} },
	})
	check(p.t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(p.t, err)
	s.url = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.node.Serve(ctx, l, server.Config{Room: room}) }()
	s.end = func() error { cancel(); return <-ended }
	return s
}

func (s *served) get(path string) (status int, body string) {
	s.t.Helper()
	r, err := http.Get(s.url + path)
	check(s.t, err)
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	check(s.t, err)
	return r.StatusCode, string(text)
}

func (s *served) post(env record.Envelope) (status int, body string) {
	r, err := http.Post(s.url+"/v1/records", "application/json", bytes.NewReader(env.Marshal()))
	if err != nil {
		return 0, err.Error()
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(r.Body)
	return r.StatusCode, string(text)
}

// wantProblem wants an answer to be a problem of that kind, whose words are those of the
// golden file.
func (s *served) wantProblem(what string, status int, body string, wantStatus int, wantKind string) {
	s.t.Helper()
	var p struct{ Type, Detail string }
	if err := json.Unmarshal([]byte(body), &p); err != nil || status != wantStatus || p.Type != "urn:docket:problem:"+wantKind {
		s.t.Errorf("%s: %d %s, want %d and %s", what, status, body, wantStatus, wantKind)
	}
	refusaltest.Words(s.t, p.Detail)
}

// says waits for a line of the log.
func (s *served) says(words string) {
	s.t.Helper()
	for {
		select {
		case line := <-s.lines:
			if strings.Contains(line, words) {
				return
			}
		case <-s.t.Context().Done():
			s.t.Fatalf("the log never said %q", words)
		}
	}
}

// rot flips a bit of every byte, in one of so many parts, of the tables in a directory
// whose names end so.
func rot(t *testing.T, files *vfs.MemFS, dir string, part, of int, ends ...string) {
	t.Helper()
	names, err := files.List(dir)
	check(t, err)
	rotten := 0
	for _, name := range names {
		for _, end := range ends {
			if !strings.HasSuffix(name, end) {
				continue
			}
			f, err := files.OpenReadWrite(dir+"/"+name, vfs.WriteCategoryUnspecified)
			check(t, err)
			info, err := f.Stat()
			check(t, err)
			data := make([]byte, info.Size())
			_, err = f.ReadAt(data, 0)
			check(t, err)
			for i := len(data) * part / of; i < len(data)*(part+1)/of; i++ {
				data[i] ^= 4
			}
			_, err = f.WriteAt(data, 0)
			check(t, err)
			check(t, f.Close())
			rotten++
		}
	}
	if rotten == 0 {
		t.Fatalf("nothing of %v in %s: %v", ends, dir, names)
	}
}

func roomy() error { return nil }

// The register rots under a server: it is made anew beside while the ledger goes on, and
// nobody has to start anything again.
func TestRottenRegisterComesBackWhileServing(t *testing.T) {
	p := newTestNode(t, "none")
	files := vfs.NewCrashableMem()
	p.ledgerWith(files, 60)
	s := p.serve(files, roomy)
	rot(t, files, "d/ledger/register/1", 0, 1, ".sst")
	first, body := s.get("/v1/register/designations/2026-030")
	s.wantProblem("a read that meets the damage", first, body, http.StatusServiceUnavailable, "rebuilding")
	if status, _ := s.get("/checkpoint"); status != http.StatusOK {
		t.Errorf("the checkpoint meanwhile: %d", status)
	}
	s.says("the register was damaged, and was made anew from the entries")
	if status, body := s.get("/v1/register/designations/2026-030"); status != http.StatusOK {
		t.Errorf("after it was made anew: %d %s", status, body)
	}
	if status, body := s.post(p.world.Designate("2026-900", p.world.NewDesignation("Lumen Resale"))); status != http.StatusCreated {
		t.Errorf("a record after that: %d %s", status, body)
	}
	if status, body := s.get("/readyz"); status != http.StatusOK || strings.Contains(body, "damage") {
		t.Errorf("ready: %d %s", status, body)
	}
	check(t, s.end())
	check(t, s.node.Close())
	n, err := p.open(files)
	check(t, err)
	defer n.Close()
	if names, err := files.List("d/ledger/register"); err != nil || len(names) != 1 || names[0] != "2" {
		t.Errorf("the registers are %v, %v", names, err)
	}
	if got, want := n.Register.Size(), n.Ledger.Head().Size; got != want || want != 63 {
		t.Errorf("the register has %d of %d", got, want)
	}
}

// A register that rotted while nobody served is made anew at the start.
func TestRottenRegisterComesBackAtTheStart(t *testing.T) {
	p := newTestNode(t, "none")
	whole := vfs.NewCrashableMem()
	p.ledgerWith(whole, 200) // so many that the ledger reads a block of rows which the register did not
	anew := 0
	for part := range 20 { // where it is read by the register itself, by the ledger, or not yet
		files := whole.CrashClone(vfs.CrashCloneCfg{})
		rot(t, files, "d/ledger/register/1", part, 20, ".sst")
		n, err := p.open(files)
		check(t, err)
		if got, want := n.Register.Size(), n.Ledger.Head().Size; got != want || want != 202 {
			t.Errorf("the register has %d of %d", got, want)
		}
		check(t, n.Close())
		if names, err := files.List("d/ledger/register"); err == nil && slices.Contains(names, "2") {
			anew++
		}
	}
	if anew == 0 {
		t.Error("no register was found to be damaged when the ledger read it")
	}
}

// The store rots under a server: the read that meets it says so, it is in /readyz, and all
// else goes on, new records too.
func TestRottenStoreGoesOn(t *testing.T) {
	p := newTestNode(t, "none")
	files := vfs.NewCrashableMem()
	p.ledgerWith(files, 60)
	s := p.serve(files, roomy)
	if status, body := s.get("/readyz"); status != http.StatusOK || strings.Contains(body, "damage") {
		t.Errorf("ready before: %d %s", status, body)
	}
	rot(t, files, "d/ledger/store", 0, 1, ".blob")
	status, body := s.get("/tile/entries/000.p/62")
	s.wantProblem("a read that meets the damage", status, body, http.StatusInternalServerError, "damaged")
	s.says("damage on the disk")
	for _, path := range []string{"/checkpoint", "/tile/0/000.p/62", "/v1/register/designations/2026-030"} {
		if status, body := s.get(path); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, body := s.post(p.world.Designate("2026-900", p.world.NewDesignation("Lumen Resale"))); status != http.StatusCreated {
		t.Errorf("a record after that: %d %s", status, body)
	}
	status, body = s.get("/readyz")
	var ready struct {
		Status string
		Damage []string
	}
	check(t, json.Unmarshal([]byte(body), &ready))
	if status != http.StatusOK || ready.Status != "damaged" || len(ready.Damage) != 1 {
		t.Fatalf("ready: %d %s", status, body)
	}
	refusaltest.Words(t, ready.Damage[0])
	check(t, s.end())
	check(t, s.node.Close())
}

// The disk becomes full under a server: reads go on, records are refused with the reason,
// and what was begun is finished once there is space.
func TestFullDiskIsWaitedFor(t *testing.T) {
	p := newTestNode(t, "none")
	mem := vfs.NewCrashableMem()
	p.ledgerWith(mem, 3)
	var full atomic.Bool
	files := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && (op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpCreate) {
			return syscall.ENOSPC
		}
		return nil
	}))
	s := p.serve(files, nil)
	first, second := p.world.Designate("2026-900", p.world.NewDesignation("Lumen Resale")), p.world.Designate("2026-901", p.world.NewDesignation("Orlop Data"))
	// A disk in memory does not tell how much of it is free: nothing is accepted.
	status, body := s.post(first)
	s.wantProblem("with an unknown disk", status, body, http.StatusServiceUnavailable, "disk-low")
	check(t, s.end())
	check(t, s.node.Close())

	for _, ends := range []bool{false, true} {
		full.Store(false)
		var s *served
		s = p.serve(files, func() error { return s.node.Failing() })
		full.Store(true)
		answered := make(chan string, 1)
		go func() {
			status, body := s.post(first)
			answered <- fmt.Sprint(status, " ", body)
		}()
		s.says("the disk is full; what is to be written waits for space, and reads go on")
		if status, body := s.get("/tile/entries/000.p/5"); status != http.StatusOK {
			t.Errorf("a read: %d %s", status, body)
		}
		status, body := s.post(second)
		s.wantProblem("another record", status, body, http.StatusServiceUnavailable, "disk-low")
		status, body = s.get("/readyz")
		var ready struct{ Reasons []string }
		check(t, json.Unmarshal([]byte(body), &ready))
		if status != http.StatusServiceUnavailable || len(ready.Reasons) != 1 {
			t.Fatalf("ready: %d %s", status, body)
		}
		refusaltest.Words(t, ready.Reasons[0])
		if ends { // told to end, it does not wait for space
			go s.end()
			refusaltest.Words(t, <-s.fatal)
			return
		}
		full.Store(false)
		s.says("there is space on the disk again")
		if got := <-answered; !strings.HasPrefix(got, "201 ") {
			t.Errorf("what was begun: %s", got)
		}
		check(t, s.end())
		check(t, s.node.Close())
		p.world.NoteAdmitted(first)
		first = second
		second = p.world.Designate("2026-902", p.world.NewDesignation("Kestrel Data"))
	}
}

// That the lock's file cannot be opened says nothing of another process.
func TestLockThatCannotBeOpenedIsNotInUse(t *testing.T) {
	p := newTestNode(t, "none")
	files := vfs.NewCrashableMem()
	p.ledgerWith(files, 1)
	n, err := p.open(files)
	check(t, err)
	if _, err := p.open(files); !errors.Is(err, node.ErrInUse) {
		t.Errorf("of one that is open: %v", err)
	}
	check(t, n.Close())
	for _, why := range []error{syscall.EROFS, syscall.EACCES, syscall.EIO} {
		_, err := p.open(unlockable{files, why})
		if errors.Is(err, node.ErrInUse) || !errors.Is(err, why) {
			t.Errorf("%v: %v", why, err)
		}
	}
}

// unlockable is a file system on which no lock can be opened.
type unlockable struct {
	vfs.FS
	why error
}

func (u unlockable) Lock(name string) (io.Closer, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: u.why}
}
