// Package vault keeps the secrets of a provider's private customer log: the vault file and
// the key store.
//
// The vault file is encrypted by age (age-encryption.org/v1) to whoever may open it. It
// holds the keys that seal customers' keys, and the secrets of the search, of the house's
// own events, of pads and of the map. The key store, a database of its own, holds the
// customers' keys, sealed, and the rows by which customers are found: HMACs under a secret
// of the vault, which say nothing without it.
//
// It promises that an erased customer's key and search rows lie in no file of the key store
// once [Store.Erase] has returned, and that what a crash has cut off is finished by the next
// [OpenStore]. It does not promise it of the disk's blocks, which a file system does not
// overwrite when it deletes a file, nor of copies that others took.
//
// [Vault.Lock] zeroes the secrets that it holds. What the runtime has copied, the schedules
// of ciphers, the insides of age and of JSON, a core dump and a swapped page are beyond it.
//
// It knows no log, no event and no command line.
package vault

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"slices"
	"sync"

	"filippo.io/age"
	"filippo.io/age/plugin"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
)

// Errors of the vault file.
var (
	// ErrWrongKey: the vault is not encrypted to any of these identities, or a password is wrong.
	ErrWrongKey = errors.New("wrong key")

	// ErrNoVault: there is no vault file.
	ErrNoVault = errors.New("there is no vault")

	// ErrNotVault: the file is no vault, or is damaged.
	ErrNotVault = errors.New("not a vault")

	// ErrNoPlugin: a program that age needs is not installed.
	ErrNoPlugin = errors.New("a plug-in of age is missing")

	// ErrRotated: what is to be opened was sealed by a wrapping key that the vault file does
	// not hold: the file is older than the key store, or was rotated since.
	ErrRotated = errors.New("the vault file and the key store are of different times")

	// ErrOtherVault: the key store, or the vault that was open before, is of another vault.
	ErrOtherVault = errors.New("another vault's")
)

const (
	ageHeader = "age-encryption.org/v1"
	maxVault  = 1 << 20 // bytes of the vault file
)

// Vault is an open vault file. Its methods may be called at once by many goroutines; while it
// is locked they answer [ErrLocked].
type Vault struct {
	files vfs.FS
	name  string

	writing sync.Mutex // held while the file is written anew; before mu

	mu   sync.RWMutex
	open *opened  // nil while locked; guarded by mu
	mark [32]byte // tells this vault from others, and nothing of it; guarded by mu
}

// opened is what an unlocked vault holds.
type opened struct {
	secrets  *secrets
	house    *Key
	wrapping map[uint32]*Key
	search   sync.Pool // of hash.Hash: HMACs under the search key
}

// Create writes the vault file anew, with fresh secrets, encrypted to all recipients: each
// of them opens it. fs.ErrExist is in the error's tree where a file of that name is there.
func Create(files vfs.FS, name string, recipients []Recipient) (*Vault, error) {
	if _, err := files.Stat(name); err == nil {
		return nil, fmt.Errorf("making a vault: %s: %w", name, fs.ErrExist)
	}
	s := newSecrets(textsOf(recipients))
	sealed, err := encrypt(s, recipients)
	if err != nil {
		return nil, fmt.Errorf("making %s: %w", name, err)
	}
	if err := disk.WriteNew(files, name, sealed, 0o600, disk.SyncNow); errors.Is(err, disk.ErrOtherContent) {
		return nil, fmt.Errorf("making a vault: %s: %w", name, fs.ErrExist)
	} else if err != nil {
		return nil, err
	}
	v := &Vault{files: files, name: name}
	v.take(s, true)
	return v, nil
}

// Open reads and decrypts a vault file. Its errors are [ErrNoVault], [ErrNotVault],
// [ErrWrongKey], [ErrNoPlugin], or those of reading.
func Open(files vfs.FS, name string, identities ...age.Identity) (*Vault, error) {
	v := &Vault{files: files, name: name}
	if err := v.Unlock(identities...); err != nil {
		return nil, err
	}
	return v, nil
}

// Unlock reads the file anew, for the same users: also where it was rotated meanwhile.
// [ErrOtherVault] where it is another vault than before.
func (v *Vault) Unlock(identities ...age.Identity) error {
	v.writing.Lock()
	defer v.writing.Unlock()
	file, err := readVault(v.files, v.name)
	if err != nil {
		return err
	}
	s, err := decrypt(file, identities)
	if err != nil {
		return fmt.Errorf("opening %s: %w", v.name, err)
	}
	v.mu.RLock()
	before := v.mark
	v.mu.RUnlock()
	if before != [32]byte{} && before != s.mark() {
		s.wipe()
		return fmt.Errorf("opening %s: %w; bring back the file that was there", v.name, ErrOtherVault)
	}
	v.take(s, true)
	return nil
}

// take makes these the secrets in use, or zeroes them where the vault was locked meanwhile
// and is to stay so. Keys that are as before stay the ones that were handed out.
func (v *Vault) take(s *secrets, unlock bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	before := v.open
	if before == nil && !unlock {
		s.wipe()
		return
	}
	o := &opened{secrets: s, wrapping: make(map[uint32]*Key)}
	o.search.New = func() any { return hmac.New(sha256.New, s.Search[:]) }
	if before != nil {
		o.house = before.house
	} else {
		raw := [32]byte(s.House)
		o.house = keyOf(&raw)
	}
	for _, w := range s.Wrapping {
		if before != nil && before.wrapping[w.Number] != nil {
			o.wrapping[w.Number] = before.wrapping[w.Number]
			delete(before.wrapping, w.Number)
			continue
		}
		raw := [32]byte(w.Key)
		o.wrapping[w.Number] = keyOf(&raw)
	}
	v.open, v.mark = o, s.mark()
	if before != nil {
		before.house = nil
		before.wipe()
	}
}

// Lock zeroes the secrets. Calls in progress end first; later ones answer [ErrLocked].
func (v *Vault) Lock() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.open.wipe()
	v.open = nil
}

// Locked reports whether it is locked.
func (v *Vault) Locked() bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.open == nil
}

func (o *opened) wipe() {
	if o == nil {
		return
	}
	if o.house != nil {
		o.house.Wipe()
	}
	for _, k := range o.wrapping {
		k.Wipe()
	}
	o.secrets.wipe()
}

// with calls f while the secrets cannot be zeroed.
func (v *Vault) with(f func(o *opened)) error {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.open == nil {
		return ErrLocked
	}
	f(v.open)
	return nil
}

// House is the key that seals what belongs to no customer. After Lock it answers [ErrLocked]
// for ever: ask for it again.
func (v *Vault) House() (k *Key, err error) {
	err = v.with(func(o *opened) { k = o.house })
	return k, err
}

// Pad is the salt of the pad at an index of the log.
func (v *Vault) Pad(index uint64) (salt [32]byte, err error) {
	err = v.with(func(o *opened) { salt = keyed(o.secrets.Pad, binary.BigEndian.AppendUint64(nil, index)) })
	return salt, err
}

// MapHMAC is an HMAC of parts, each with its length, under the map's secret.
func (v *Vault) MapHMAC(parts ...[]byte) (mac [32]byte, err error) {
	err = v.with(func(o *opened) { mac = keyed(o.secrets.Map, parts...) })
	return mac, err
}

// MapSalt is the salt of the map's keys, 32 bytes: whoever replays the log is shown it.
func (v *Vault) MapSalt() (salt []byte, err error) {
	err = v.with(func(o *opened) { salt = bytes.Clone(o.secrets.Salt[:]) })
	return salt, err
}

// Recipients are whom the file is encrypted to.
func (v *Vault) Recipients() (texts []string, err error) {
	err = v.with(func(o *opened) { texts = slices.Clone(o.secrets.Recipients) })
	return texts, err
}

// Reseal encrypts the same secrets to other recipients (nil: to the same). Whoever kept an older file and its
// key has the secrets still: [Rotate] changes those that seal customers' keys.
func (v *Vault) Reseal(recipients []Recipient) error {
	return v.rewrite(recipients, func(*secrets) bool { return true })
}

// rewrite writes the file with other secrets and recipients (nil: as before), then uses
// them. After an error nothing has changed, or the file alone, which Unlock reads. change
// says whether there is anything to write.
func (v *Vault) rewrite(recipients []Recipient, change func(*secrets) bool) error {
	v.writing.Lock()
	defer v.writing.Unlock()
	var s *secrets
	if err := v.with(func(o *opened) { s = o.secrets.clone() }); err != nil {
		return err
	}
	if !change(s) {
		s.wipe()
		return nil
	}
	var err error
	if recipients == nil {
		recipients, err = ParseRecipients([]byte(join(s.Recipients)), nil)
	}
	var sealed []byte
	if err == nil {
		s.Recipients = textsOf(recipients)
		sealed, err = encrypt(s, recipients)
	}
	if err == nil {
		err = disk.WriteFile(v.files, v.name, sealed, 0o600, disk.SyncNow)
	}
	if err != nil {
		s.wipe()
		return fmt.Errorf("writing the vault anew: %w", err)
	}
	v.take(s, false)
	return nil
}

// newest is the number of the key that wraps, and that key.
func (v *Vault) newest() (number uint32, k *Key, err error) {
	err = v.with(func(o *opened) {
		number = o.secrets.newest()
		k = o.wrapping[number]
	})
	return number, k, err
}

// wrappedBy is the wrapping key of a number.
func (v *Vault) wrappedBy(number uint32) (k *Key, err error) {
	var newest uint32
	if err := v.with(func(o *opened) { k, newest = o.wrapping[number], o.secrets.newest() }); err != nil {
		return nil, err
	}
	switch {
	case k != nil:
		return k, nil
	case number > newest:
		return nil, fmt.Errorf("%w: a customer's key is wrapped by key %d, and %s has keys up to %d; bring back the newest vault file", ErrRotated, number, v.name, newest)
	}
	return nil, fmt.Errorf("%w: a customer's key is wrapped by key %d, which %s dropped when it was rotated to %d; bring back a key store of after the rotation", ErrRotated, number, v.name, newest)
}

// hashes calls f with a function that hashes texts under the search key.
func (v *Vault) hashes(f func(hash func(domain byte, text string) [32]byte)) error {
	return v.with(func(o *opened) {
		h := o.search.Get().(hash.Hash)
		defer o.search.Put(h)
		var buffer []byte
		f(func(domain byte, text string) (sum [32]byte) {
			h.Reset()
			buffer = append(append(buffer[:0], domain), text...)
			h.Write(buffer)
			h.Sum(sum[:0])
			return sum
		})
		clear(buffer[:cap(buffer)])
	})
}

// mark tells a vault from others.
func (s *secrets) mark() [32]byte { return keyed(s.Search, []byte("docket customer vault")) }

// keyed is the HMAC-SHA256 of parts, each after its length in 8 bytes.
func keyed(key secret, parts ...[]byte) (sum [32]byte) {
	h := hmac.New(sha256.New, key[:])
	for _, part := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	h.Sum(sum[:0])
	return sum
}

func textsOf(recipients []Recipient) (texts []string) {
	for _, r := range recipients {
		texts = append(texts, r.text)
	}
	return texts
}

func join(lines []string) string {
	var b bytes.Buffer
	for _, line := range lines {
		b.WriteString(line + "\n")
	}
	return b.String()
}

func readVault(files vfs.FS, name string) ([]byte, error) {
	f, err := files.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is missing; bring it back from where its copies are kept, since without it no customer can be read", ErrNoVault, name)
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	file, err := io.ReadAll(io.LimitReader(f, maxVault+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", name, err)
	case len(file) > maxVault || !bytes.HasPrefix(file, []byte(ageHeader)):
		return nil, fmt.Errorf("%s is %w: it does not begin with %q", name, ErrNotVault, ageHeader)
	}
	return file, nil
}

func encrypt(s *secrets, recipients []Recipient) ([]byte, error) {
	if len(recipients) == 0 || len(recipients) > maxRecipients {
		return nil, fmt.Errorf("%d recipients; want 1 to %d", len(recipients), maxRecipients)
	}
	to := make([]age.Recipient, len(recipients))
	for i, r := range recipients {
		to[i] = r.Recipient
	}
	text, err := s.format()
	if err != nil {
		return nil, err
	}
	defer clear(text)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	if err != nil {
		return nil, missingPlugin(err)
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	err = w.Close() // writes the last chunk
	return out.Bytes(), err
}

func decrypt(file []byte, identities []age.Identity) (*secrets, error) {
	if len(identities) == 0 {
		return nil, fmt.Errorf("%w: none was given", ErrWrongKey)
	}
	r, err := age.Decrypt(bytes.NewReader(file), identities...)
	switch {
	case errors.As(err, new(*age.NoIdentityMatchError)):
		return nil, fmt.Errorf("%w: the vault is not encrypted to this key, or was since encrypted to others", ErrWrongKey)
	case err != nil:
		if missing := missingPlugin(err); errors.Is(missing, ErrNoPlugin) {
			return nil, missing
		}
		return nil, fmt.Errorf("%w, or the key's plug-in failed: %w", ErrNotVault, err)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxSecrets+1))
	defer clear(text)
	if err == nil && len(text) > maxSecrets {
		err = errors.New("it is too long")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotVault, err)
	}
	s, err := parseSecrets(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotVault, err)
	}
	return s, nil
}

// missingPlugin says of a plug-in that is not installed what to do.
func missingPlugin(err error) error {
	if missing := new(plugin.NotFoundError); errors.As(err, &missing) {
		return fmt.Errorf("%w: install age-plugin-%s, so that it is found in PATH: %w", ErrNoPlugin, missing.Name, missing.Err)
	}
	return err
}
