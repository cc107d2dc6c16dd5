// Package keydir keeps the signing keys of a log or a witness in a directory: one
// file a key, for its owner only, in the text form of signed notes.
package keydir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// File is one key's file in DIR/keys.
type File struct {
	Name      string
	Algorithm proof.Algorithm
}

// ErrNoKeys: a key's file is missing.
var ErrNoKeys = errors.New("no signing keys")

// Missing are those of the files that are not there. Keys of another name in the
// directory are an error.
func Missing(dir, name string, files []File) (missing []File, err error) {
	for _, f := range files {
		old, err := os.ReadFile(filepath.Join(dir, "keys", f.Name))
		if err != nil {
			missing = append(missing, f)
		} else if other := keyNameOf(string(old)); other != name {
			return nil, fmt.Errorf("%s holds the keys of %s", dir, other)
		}
	}
	return missing, nil
}

// OwnKind refuses a directory that belongs to something else: a witness's beside which a
// log would keep its keys, or the other way round, and a trust directory. Who copies,
// backs up or deletes one of the two would have the other in it.
func OwnKind(dir string, files []File) error {
	if _, err := os.Stat(filepath.Join(dir, "trust.json")); err == nil {
		return fmt.Errorf("%s is a trust directory; name another, for these keys alone", dir)
	}
	there, err := os.ReadDir(filepath.Join(dir, "keys"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, f := range there {
		if kind := kindOf(f.Name()); kind != "" && kind != kindOf(files[0].Name) {
			return fmt.Errorf("%s holds the keys of a %s (keys/%s); name another, for these keys alone", dir, kind, f.Name())
		}
	}
	return nil
}

// kindOf is whose key a file is, by its name: log or witness; empty if neither's.
func kindOf(name string) string {
	for _, kind := range []string{"log", "witness"} {
		if strings.HasPrefix(name, kind+"-") || strings.HasPrefix(name, kind+".") {
			return kind
		}
	}
	return ""
}

// Create makes the keys that are missing, all under one name, durably. Keys of
// another name in the directory, and a directory of another kind, are an error.
func Create(dir, name string, files []File) error {
	if err := OwnKind(dir, files); err != nil {
		return err
	}
	missing, err := Missing(dir, name, files)
	if err != nil {
		return err
	}
	for _, f := range missing {
		secret, _, err := proof.GenerateKey(f.Algorithm, name)
		if err != nil {
			return err
		}
		if err := WriteFile(dir, f.Name, []byte(secret+"\n")); err != nil {
			return err
		}
	}
	return nil
}

// WriteFile writes a new file beside the keys, for its owner only, durably: a charter
// that names these keys may outlive a power cut. A file that is there already with the same
// content is fine.
func WriteFile(dir, name string, data []byte) error {
	keys := filepath.Join(dir, "keys")
	for _, d := range []string{dir, keys} { // both: whoever was cut off has left one of them
		if err := disk.MakeDir(vfs.Default, d, 0o700); err != nil {
			return fmt.Errorf("making %s: %w", d, err)
		}
	}
	return disk.WriteNew(vfs.Default, filepath.Join(keys, name), data, 0o600, disk.SyncNow)
}

// Load reads the keys' texts, in the order of files. [ErrNoKeys] if one is missing;
// keys of two names are an error.
func Load(dir string, files []File) ([]string, error) {
	var texts []string
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, "keys", f.Name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w: %s is missing", dir, ErrNoKeys, filepath.Join("keys", f.Name))
		} else if err != nil {
			return nil, err
		}
		texts = append(texts, strings.TrimSuffix(string(text), "\n"))
		if a, b := keyNameOf(texts[0]), keyNameOf(texts[len(texts)-1]); a != b {
			return nil, fmt.Errorf("%s: its keys have two names, %s and %s", dir, a, b)
		}
	}
	return texts, nil
}

// keyNameOf reads the name of a key's text: PRIVATE+KEY+<name>+<id>+<base64>.
func keyNameOf(text string) string {
	parts := strings.SplitN(strings.TrimPrefix(text, "PRIVATE+KEY+"), "+", 2)
	return parts[0]
}
