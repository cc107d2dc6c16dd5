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
	keys := filepath.Join(dir, "keys")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", keys, err)
	}
	missing, err := Missing(dir, name, files)
	if err != nil {
		return err
	}
	for _, f := range missing {
		file := filepath.Join(keys, f.Name)
		secret, _, err := proof.GenerateKey(f.Algorithm, name)
		if err != nil {
			return err
		}
		if err := writeNewFile(file, []byte(secret+"\n")); err != nil {
			return fmt.Errorf("writing %s: %w", file, err)
		}
	}
	return syncDirs(dir)
}

// WriteFile writes a new file beside the keys, for its owner only, durably. A file that
// is there already with the same content is fine.
func WriteFile(dir, name string, data []byte) error {
	keys := filepath.Join(dir, "keys")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", keys, err)
	}
	file := filepath.Join(keys, name)
	if old, err := os.ReadFile(file); err == nil {
		if string(old) == string(data) {
			return nil
		}
		return fmt.Errorf("%s exists with other content", file)
	}
	if err := writeNewFile(file, data); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return syncDirs(dir)
}

// syncDirs makes the names durable too: a charter that names these keys may outlive
// a power cut.
func syncDirs(dir string) error {
	return Sync(filepath.Join(dir, "keys"), dir, filepath.Dir(dir))
}

// Sync makes the names in these directories durable, those that are there.
func Sync(dirs ...string) error {
	for _, d := range dirs {
		if err := syncDir(d); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("syncing %s: %w", d, err)
		}
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
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

// writeNewFile writes a new file for its owner only, durably.
func writeNewFile(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(name) // what is not whole is no key, and would be in the way of one
	}
	return err
}
