package vault

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// TestMain is also the plug-in of age that TestPlugin calls, by the name that it has then.
func TestMain(m *testing.M) {
	if name, ok := strings.CutPrefix(filepath.Base(os.Args[0]), "age-plugin-"); ok {
		p, err := plugin.New(name)
		if err != nil {
			panic(err)
		}
		p.HandleRecipient(func(data []byte) (age.Recipient, error) { return fakeToken{}, nil })
		p.HandleIdentity(func(data []byte) (age.Identity, error) { return fakeToken{}, nil })
		os.Exit(p.Main())
	}
	os.Exit(m.Run())
}

// fakeToken wraps a file key by nothing, as no token may but this one.
type fakeToken struct{}

func (fakeToken) Wrap(key []byte) ([]*age.Stanza, error) {
	return []*age.Stanza{{Type: "docket-test", Body: key}}, nil
}

func (fakeToken) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if s.Type == "docket-test" {
			return s.Body, nil
		}
	}
	return nil, age.ErrIncorrectIdentity
}

func TestVaultOpensByEachRecipient(t *testing.T) {
	files := vfs.NewMem()
	var recipients bytes.Buffer
	var ids [][]byte
	for range 2 {
		file, recipient, err := NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		recipients.WriteString("# one of two\n\n" + recipient + "\n")
		ids = append(ids, file)
	}
	to := must(ParseRecipients(recipients.Bytes(), nil))
	if !HasPostQuantum(to) {
		t.Error("new identities are not post-quantum")
	}
	v := must(Create(files, "vault.age", to))
	salt := must(v.MapSalt())
	house := must(v.House())
	sealed := must(house.Seal([]byte("head"), []byte("searched"), []byte("1")))
	for i, file := range ids {
		if i == 1 {
			file = must(protectFast(file, "correct horse"))
		}
		id := must(ParseIdentities(file, func(string, bool) (string, error) { return "correct horse", nil }))
		again := must(Open(files, "vault.age", id...))
		if !bytes.Equal(salt, must(again.MapSalt())) || must(v.Pad(7)) != must(again.Pad(7)) || must(v.MapHMAC([]byte("a"))) != must(again.MapHMAC([]byte("a"))) {
			t.Errorf("identity %d: other secrets", i)
		}
		if got := must(must(again.House()).Open(nil, sealed[4:], []byte("1"))); string(got) != "searched" {
			t.Errorf("identity %d opens %q", i, got)
		}
		if _, err := must(again.House()).Open(nil, sealed[4:], []byte("2")); !errors.Is(err, ErrSealed) {
			t.Errorf("moved: %v", err)
		}
	}
	if _, err := Create(files, "vault.age", to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second vault in its place: %v", err)
	}
	if must(v.Pad(7)) == must(v.Pad(8)) || must(v.MapHMAC([]byte("ab"), []byte("c"))) == must(v.MapHMAC([]byte("a"), []byte("bc"))) {
		t.Error("two inputs, one HMAC")
	}
}

// protectFast is ProtectIdentity with as little work as scrypt can be given.
func protectFast(file []byte, password string) ([]byte, error) {
	by, err := age.NewScryptRecipient(password)
	if err != nil {
		return nil, err
	}
	by.SetWorkFactor(2)
	return protect(file, by)
}

func TestVaultSaysWhatIsWrong(t *testing.T) {
	files := vfs.NewMem()
	id, to := key(t)
	other, _ := key(t)
	must(Create(files, "vault.age", to))
	put := func(name string, data []byte) {
		f := must(files.Create(name, vfs.WriteCategoryUnspecified))
		must(f.Write(data))
		f.Close()
	}
	whole := bytesOf(t, files, "")["vault.age"]
	put("cut.age", whole[:len(whole)-1])
	put("altered.age", append(whole[:len(whole)-1:len(whole)-1], whole[len(whole)-1]^1))
	put("text.age", []byte("these are not the keys"))
	put("empty.age", nil)
	put("long.age", append([]byte(ageHeader), make([]byte, maxVault)...))
	for _, c := range []struct {
		name string
		ids  []age.Identity
		want error
		says string
	}{
		{"vault.age", []age.Identity{other}, ErrWrongKey, "not encrypted to this key"},
		{"vault.age", nil, ErrWrongKey, "none was given"},
		{"missing.age", []age.Identity{id}, ErrNoVault, "missing.age is missing"},
		{"cut.age", []age.Identity{id}, ErrNotVault, ""},
		{"altered.age", []age.Identity{id}, ErrNotVault, ""},
		{"text.age", []age.Identity{id}, ErrNotVault, "text.age is not a vault"},
		{"empty.age", []age.Identity{id}, ErrNotVault, ""},
		{"long.age", []age.Identity{id}, ErrNotVault, ""},
	} {
		_, err := Open(files, c.name, c.ids...)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %v with %q", c.name, err, c.want, c.says)
		}
	}
}

func TestVaultLocks(t *testing.T) {
	h := build(t)
	c := h.admit(0, "a-1", Term{Name, "Kestrel Hosting"})
	house := must(h.House())
	held := h.Vault.open.secrets
	h.Lock()
	if !h.Locked() || held.Search != (secret{}) || held.House != (secret{}) || held.Pad != (secret{}) || held.Map != (secret{}) || held.Salt != (secret{}) || held.Wrapping[0].Key != (secret{}) {
		t.Error("secrets are left")
	}
	if house.raw != [32]byte{} {
		t.Error("the house's key is left")
	}
	_, sealing := house.Seal(nil, nil, nil)
	_, opening := house.Open(nil, make([]byte, Overhead), nil)
	_, deriving := house.Derive("x")
	_, asked := h.House()
	_, pad := h.Pad(0)
	_, mac := h.MapHMAC()
	_, salt := h.MapSalt()
	_, customer := h.Customer(c.Ref)
	_, handle := h.ByHandle(c.Handle)
	_, account := h.ByAccount("a-1")
	_, found := h.Find(t.Context(), []Term{{Name, "Kestrel"}}, 1)
	_, _, backup := h.Backup(t.Context(), h.fs, "b", day)
	for i, err := range []error{
		sealing, opening, deriving, asked, pad, mac, salt, customer, handle, account, found, backup, h.Stage(1, []New{{NewCustomer(), ""}}),
		h.Advance(Cursor{Size: 2}, []Rows{{c.Ref, "", []Term{{Name, "Merlin"}}}}), Rotate(t.Context(), h.Vault, h.Store, nil, nil), h.Reseal(nil),
	} {
		if !errors.Is(err, ErrLocked) {
			t.Errorf("call %d of a locked vault: %v", i, err)
		}
	}
	h.ok(h.Unlock(h.id))
	if got := must(h.Customer(c.Ref)); got.Handle != c.Handle {
		t.Errorf("got handle %s, want %s", got.Handle, c.Handle)
	}
	h.Lock()
	_, to := key(t)
	h.ok(h.fs.Remove("vault.age"))
	other, _ := key(t)
	must(Create(h.fs, "vault.age", to))
	is(t, h.Unlock(other), ErrWrongKey)
	id2, to2 := key(t)
	h.ok(h.fs.Remove("vault.age"))
	must(Create(h.fs, "vault.age", to2))
	is(t, h.Unlock(id2), ErrOtherVault)
}

func TestReseal(t *testing.T) {
	h := build(t)
	c := h.admit(0, "a-1")
	id, to := key(t)
	house := must(h.House())
	h.ok(h.Reseal(to))
	if must(h.House()) != house {
		t.Error("another key for the same secret: whoever holds it would be locked out")
	}
	if _, err := house.Seal(nil, nil, nil); err != nil {
		t.Errorf("whoever holds the house's key is locked out: %v", err)
	}
	if _, err := Open(h.fs, "vault.age", h.id); !errors.Is(err, ErrWrongKey) {
		t.Errorf("the one before: %v", err)
	}
	h.ok(h.Store.Close())
	h.id = id
	if got := must(h.reopen().Customer(c.Ref)); got.Handle != c.Handle {
		t.Error("another handle")
	}
	if got := must(h.Recipients()); len(got) != 1 || got[0] != to[0].String() {
		t.Errorf("recipients %v, want %v", got, to)
	}
}

// Each write of the vault file fails once: the file is the one before or the new one, and
// opens.
func TestVaultIsWrittenWhole(t *testing.T) {
	id, to := key(t)
	for fail := int32(0); ; fail++ {
		mem := vfs.NewMem()
		must(Create(mem, "vault.age", to))
		at := errorfs.OnIndex(fail)
		files := errorfs.Wrap(mem, errorfs.ErrInjected.If(errorfs.And(errorfs.Writes, at)))
		v := must(Open(files, "vault.age", id))
		err := v.Reseal(to)
		again := must(Open(mem, "vault.age", id))
		if must(again.Pad(1)) != must(v.Pad(1)) {
			t.Fatalf("write %d: other secrets", fail)
		}
		if err == nil && at.Load() >= 0 {
			return
		}
		if fail > 50 {
			t.Fatal("no end of writes")
		}
	}
}

func TestVaultFileIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes of files")
	}
	name := filepath.Join(t.TempDir(), "vault.age")
	_, to := key(t)
	v := must(Create(vfs.Default, name, to))
	for range 2 {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v, want 0600", info.Mode(), err)
		}
		if err := v.Reseal(to); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRecipientsAndIdentities(t *testing.T) {
	file, hybrid, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	old := must(age.GenerateX25519Identity())
	for text, says := range map[string]string{
		"":                                       "no recipient",
		"# nothing":                              "no recipient",
		"age1pq1abc":                             "line 1 is no recipient",
		"ssh-ed25519 AAAA":                       "is no recipient of age",
		old.String():                             "is a secret key",
		hybrid + "\n" + old.Recipient().String(): "of two kinds",
		strings.Repeat(hybrid+"\n", 17):          "at most 16",
	} {
		if _, err := ParseRecipients([]byte(text), nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q: got %v, want %q", text, err, says)
		}
	}
	cut := old.String()[:40]
	for text, says := range map[string]string{
		"":            "no secret key",
		hybrid:        "is a public key",
		"AGE-PLUGIN-": "cut off or altered",
		"password":    "is no secret key",
		"\n#\n" + cut: "line 3 is no secret key",
	} {
		_, err := ParseIdentities([]byte(text), nil)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), cut[20:]) {
			t.Errorf("%.40q: got %v, want %q", text, err, says)
		}
	}
	locked := must(protectFast(file, "one"))
	if _, err := ParseIdentities(locked, func(string, bool) (string, error) { return "two", nil }); !errors.Is(err, ErrWrongKey) {
		t.Errorf("a wrong password: %v", err)
	}
	if _, err := ParseIdentities(locked, nil); err == nil || !strings.Contains(err.Error(), "nobody to ask") {
		t.Errorf("nobody to ask: %v", err)
	}
	if _, err := ParseIdentities(append([]byte(ageHeader), "\n-> scrypt"...), func(string, bool) (string, error) { return "two", nil }); err == nil {
		t.Error("a file that is cut off was read")
	}
}

func TestPlugin(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links to programs")
	}
	recipient := plugin.EncodeRecipient("dockettest", []byte{1})
	identity := plugin.EncodeIdentity("dockettest", []byte{1})
	to := must(ParseRecipients([]byte(recipient), nil))
	ids := must(ParseIdentities([]byte(identity), nil))
	files := vfs.NewMem()
	path := os.Getenv("PATH")
	t.Setenv("PATH", t.TempDir())
	if _, err := Create(files, "vault.age", to); !errors.Is(err, ErrNoPlugin) || !strings.Contains(err.Error(), "install age-plugin-dockettest") {
		t.Fatalf("making one without the plug-in: %v", err)
	}
	with := t.TempDir()
	if err := os.Symlink(must(os.Executable()), filepath.Join(with, "age-plugin-dockettest")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", with+string(filepath.ListSeparator)+path)
	v := must(Create(files, "vault.age", to))
	again := must(Open(files, "vault.age", ids...))
	if must(again.Pad(1)) != must(v.Pad(1)) {
		t.Error("other secrets")
	}
	if err := again.Reseal(nil); err != nil { // by the recipient's text, in the file
		t.Error(err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Open(files, "vault.age", ids...); !errors.Is(err, ErrNoPlugin) {
		t.Errorf("opening it without the plug-in: %v", err)
	}
}

func FuzzSecrets(f *testing.F) {
	s := newSecrets([]string{"age1example"})
	f.Add(must(s.format()))
	s.Wrapping = append(s.Wrapping, wrapping{2, newSecret()})
	f.Add(must(s.format()))
	f.Add(bytes.Replace(must(s.format()), []byte(`"number":2`), []byte(`"number":1`), 1))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseSecrets(text)
		if err != nil {
			return
		}
		if again := must(s.format()); !bytes.Equal(again, text) {
			t.Errorf("%q is written %q", text, again)
		}
		if len(s.Wrapping) == 0 || s.newest() == 0 || s.Search == (secret{}) || len(s.Recipients) == 0 {
			t.Errorf("%q misses something", text)
		}
	})
}
