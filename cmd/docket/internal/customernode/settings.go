package customernode

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
	"github.com/seed-53cf897a/docket/server/customers"
)

// Settings are what customers.json says.
type Settings struct {
	Version   int                `json:"version"`
	Party     string             `json:"party"`               // whose log it is
	Ledger    record.ID          `json:"ledger"`              // charter under which the party is enrolled
	Origin    string             `json:"origin"`              // the log's name in its checkpoints
	LogKey    string             `json:"logKey,omitempty"`    // URI of the log's key in a KMS; log.key if absent
	Trust     string             `json:"trust,omitempty"`     // trust directory of that ledger
	Zone      string             `json:"zone"`                // IANA name: in which days begin and end
	Retention record.Period      `json:"retention,omitzero"`  // after closing; P2Y if absent
	LockAfter string             `json:"lockAfter,omitempty"` // without a call; 15m if absent, never: "0"
	Clients   []customers.Client `json:"clients,omitempty"`   // who may ask over the network

	// Disclosers hold the role discloser: the signatures of two of them let a bundle out.
	Disclosers []Discloser `json:"disclosers,omitempty"`
}

// Discloser is one who approves disclosures.
type Discloser struct {
	Name string     `json:"name"`
	Key  record.PEM `json:"key"` // public
}

// Disclosers reads from a directory's settings whose signatures let a bundle out. It is asked
// each time, so that whoever is added or removed is so from then on.
func Disclosers(files vfs.FS, dir string) ([]*record.Key, error) {
	s, err := ReadSettings(files, dir)
	if err != nil {
		return nil, err
	}
	return s.disclosers()
}

// disclosers are their keys.
func (s *Settings) disclosers() (keys []*record.Key, err error) {
	for _, d := range s.Disclosers {
		k, err := record.ParseKey([]byte(d.Key))
		if err != nil {
			return nil, fmt.Errorf("discloser %s: %w", d.Name, err)
		}
		for _, other := range keys {
			if other.ID() == k.ID() {
				return nil, fmt.Errorf("discloser %s has the key of another: two approve with two keys", d.Name)
			}
		}
		keys = append(keys, k)
	}
	return keys, nil
}

const settingsVersion = 1

// ReadSettings reads the settings of a directory; [ErrNoLog] if there are none.
func ReadSettings(files vfs.FS, dir string) (s Settings, err error) {
	name := files.PathJoin(dir, SettingsFile)
	raw, err := readFile(files, name)
	if errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("%s: %w", dir, ErrNoLog)
	} else if err != nil {
		return s, err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	if err := s.check(); err != nil {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func (s *Settings) check() error {
	switch {
	case s.Version != settingsVersion:
		return fmt.Errorf("version %d: this docket knows %d", s.Version, settingsVersion)
	case s.Party == "" || s.Origin == "" || s.Ledger.IsZero():
		return errors.New("party, ledger and origin are needed")
	}
	if _, err := s.Location(); err != nil {
		return err
	}
	if _, err := s.Idle(); err != nil {
		return err
	}
	if _, err := s.disclosers(); err != nil {
		return err
	}
	return customers.CheckClients(s.Clients)
}

// Location is the time zone in which the log's days begin and end.
func (s *Settings) Location() (*time.Location, error) { return rules1.Location(s.Zone) }

// Idle is after how long without a call the vault locks; 0: never.
func (s *Settings) Idle() (time.Duration, error) {
	if s.LockAfter == "" {
		return 15 * time.Minute, nil
	}
	d, err := time.ParseDuration(s.LockAfter)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("lockAfter %q: want a duration like 15m, or 0 for never", s.LockAfter)
	}
	return d, nil
}

// Write puts the settings in place of those that are there, in one step.
func (s *Settings) Write(files vfs.FS, dir string) error {
	if err := s.check(); err != nil {
		return err
	}
	return disk.WriteFile(files, files.PathJoin(dir, SettingsFile), s.format(), 0o600, disk.SyncNow)
}

func (s *Settings) format() []byte {
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(err) // texts and numbers alone
	}
	return append(raw, '\n')
}

// Create makes a log's directory: its signing key, unless a KMS keeps one, its vault and its settings, the settings
// last, so that what was cut off is no log yet and may be begun again. What is there already is
// left as it is. The log's verifier key is returned.
func Create(ctx context.Context, files vfs.FS, dir string, s Settings, recipients []vault.Recipient, today record.Date) (vkey string, err error) {
	s.Version = settingsVersion
	if err := s.check(); err != nil {
		return "", err
	}
	at := func(name string) string { return files.PathJoin(dir, name) }
	if _, err := files.Stat(at(SettingsFile)); err == nil {
		return "", fmt.Errorf("%s: %w", at(SettingsFile), fs.ErrExist)
	}
	if err := disk.MakeDir(files, dir, 0o700); err != nil {
		return "", err
	}
	if _, err := files.Stat(at(KeyFile)); s.LogKey == "" && errors.Is(err, fs.ErrNotExist) {
		secret, _, err := proof.GenerateKey(proof.Ed25519, s.Origin)
		if err != nil {
			return "", err
		}
		if err := disk.WriteNew(files, at(KeyFile), []byte(secret+"\n"), 0o600, disk.SyncNow); err != nil {
			return "", err
		}
	}
	signer, err := LoadKey(ctx, files, dir, s)
	if err != nil {
		return "", err
	}
	v, err := vault.Create(files, at(VaultFile), recipients)
	if err != nil {
		return "", err
	}
	v.Lock()
	if err := disk.MakeDir(files, at(ProgrammeDir), 0o700); err != nil {
		return "", err
	}
	text := programme.Template(s.Party, today)
	if err := disk.WriteNew(files, files.PathJoin(at(ProgrammeDir), today.String()+".yaml"), []byte(text), 0o600, disk.SyncNow); err != nil {
		return "", err
	}
	return signer.Key().String(), disk.WriteNew(files, at(SettingsFile), s.format(), 0o600, disk.SyncNow)
}
