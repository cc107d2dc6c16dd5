package vault

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
	"filippo.io/age/plugin"
)

// Asker asks a person: for the password of an identity file, or for what a plug-in wants to
// know. A secret is not to be shown as it is typed. A nil one has nobody to ask.
type Asker func(prompt string, secret bool) (answer string, err error)

var errNobody = errors.New("there is nobody to ask")

func (ask Asker) ask(prompt string, secret bool) (string, error) {
	if ask == nil {
		return "", errNobody
	}
	return ask(prompt, secret)
}

// ui is how plug-ins reach who is asked.
func (ask Asker) ui() *plugin.ClientUI {
	return &plugin.ClientUI{
		DisplayMessage: func(name, message string) error { return nil },
		RequestValue: func(name, prompt string, secret bool) (string, error) {
			return ask.ask(fmt.Sprintf("age plug-in %s: %s", name, prompt), secret)
		},
		Confirm: func(name, prompt, yes, no string) (bool, error) {
			words := fmt.Sprintf("age plug-in %s: %s (%s", name, prompt, yes)
			if no != "" {
				words += " or " + no
			}
			answer, err := ask.ask(words+")", false)
			return strings.EqualFold(strings.TrimSpace(answer), yes), err
		},
	}
}

// Recipient is a public key that the vault file is encrypted to, as text: "age1pq1…" is
// hybrid post-quantum, "age1…" X25519 alone, "age1NAME1…" a plug-in's.
type Recipient struct {
	age.Recipient
	text string
}

// String is the recipient's text.
func (r Recipient) String() string { return r.text }

// HasPostQuantum reports whether all recipients are hybrid. A plug-in's are taken at its
// word, when the file is written.
func HasPostQuantum(recipients []Recipient) bool {
	for _, r := range recipients {
		if _, classical := r.Recipient.(*age.X25519Recipient); classical {
			return false
		}
	}
	return len(recipients) > 0
}

// ParseRecipients reads recipients, one a line; empty lines and those that begin with # say
// nothing. All that are given together must be hybrid, or none: a single recipient of the
// old kind would undo what the others protect from.
func ParseRecipients(text []byte, ask Asker) ([]Recipient, error) {
	var all []Recipient
	classical := 0
	err := eachLine(text, func(line string) error {
		var r age.Recipient
		var err error
		switch {
		case strings.HasPrefix(line, "age1pq1"):
			r, err = age.ParseHybridRecipient(line)
		case strings.HasPrefix(line, "age1") && strings.Count(line, "1") > 1 && isPlugin(line):
			r, err = plugin.NewRecipient(line, ask.ui())
		case strings.HasPrefix(line, "age1"):
			classical++
			r, err = age.ParseX25519Recipient(line)
		case strings.HasPrefix(line, "AGE-"):
			return errors.New("is a secret key; give the public one, which begins with age1 (age-keygen -y prints it)")
		default:
			return errors.New("is no recipient of age, such as age1pq1…")
		}
		if err != nil {
			return fmt.Errorf("is no recipient: %w", err)
		}
		all = append(all, Recipient{r, line})
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(all) == 0:
		return nil, errors.New("no recipient: give at least one, such as age1pq1… (age-keygen -pq makes one)")
	case len(all) > maxRecipients:
		return nil, fmt.Errorf("%d recipients; want at most %d", len(all), maxRecipients)
	case classical > 0 && classical < len(all):
		return nil, errors.New("recipients of two kinds: give only hybrid ones (age1pq1…), since one of the old kind (age1…) would undo what they protect from")
	}
	return all, nil
}

// isPlugin tells a plug-in's recipient, whose name stands between "age1" and the last "1".
func isPlugin(line string) bool {
	_, _, err := plugin.ParseRecipient(line)
	return err == nil
}

// eachLine calls f for each line that says something, and says of an error which it is: by
// number, since a line may be a secret.
func eachLine(text []byte, f func(line string) error) error {
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxSecrets)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := f(line); err != nil {
			return fmt.Errorf("line %d %w", n, err)
		}
	}
	return lines.Err()
}

// ParseIdentities reads a file of secret keys of age, one a line, plug-ins' among them. A
// file that is encrypted by a password, in armor or not, is decrypted first.
// [ErrWrongKey] is in the tree of a wrong password's error.
func ParseIdentities(file []byte, ask Asker) ([]age.Identity, error) {
	if armored, binary := bytes.HasPrefix(bytes.TrimSpace(file), []byte(armor.Header)), bytes.HasPrefix(file, []byte(ageHeader)); armored || binary {
		var from io.Reader = bytes.NewReader(file)
		if armored {
			from = armor.NewReader(bytes.NewReader(bytes.TrimSpace(file)))
		}
		var err error
		if file, err = decryptIdentities(from, ask); err != nil {
			return nil, err
		}
		defer clear(file)
	}
	var all []age.Identity
	err := eachLine(file, func(line string) error {
		var id age.Identity
		var err error
		switch {
		case strings.HasPrefix(line, "AGE-SECRET-KEY-PQ-1"):
			id, err = age.ParseHybridIdentity(line)
		case strings.HasPrefix(line, "AGE-SECRET-KEY-1"):
			id, err = age.ParseX25519Identity(line)
		case strings.HasPrefix(line, "AGE-PLUGIN-"):
			id, err = plugin.NewIdentity(line, ask.ui())
		case strings.HasPrefix(line, "age1"):
			return errors.New("is a public key; give the secret one, which begins with AGE-SECRET-KEY-PQ-1 or AGE-PLUGIN-")
		default:
			return errors.New("is no secret key of age")
		}
		if err != nil {
			return errors.New("is no secret key of age: it is cut off or altered") // its words may hold a part of it
		}
		all = append(all, id)
		return nil
	})
	if err == nil && len(all) == 0 {
		err = errors.New("the file holds no secret key of age")
	}
	return all, err
}

func decryptIdentities(file io.Reader, ask Asker) ([]byte, error) {
	password, err := ask.ask("password of the vault's key", true)
	if err != nil {
		return nil, fmt.Errorf("the key is protected by a password: %w", err)
	}
	by, err := age.NewScryptIdentity(password)
	if err != nil {
		return nil, fmt.Errorf("%w: the password is empty", ErrWrongKey)
	}
	by.SetMaxWorkFactor(maxWorkFactor)
	opened, err := age.Decrypt(file, by)
	if err == nil {
		var text []byte
		if text, err = io.ReadAll(io.LimitReader(opened, maxSecrets)); err == nil {
			return text, nil
		}
	}
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, fmt.Errorf("%w: the password is not that of the key's file", ErrWrongKey)
	}
	return nil, fmt.Errorf("decrypting the key's file: %w", err)
}

// maxWorkFactor bounds what a file of strangers can make scrypt cost: 2^20 is a few
// seconds and 1 GiB.
const maxWorkFactor = 20

// NewIdentity makes a hybrid post-quantum key: the file that holds the secret one, and the
// public one, which the file names in a comment.
func NewIdentity() (file []byte, recipient string, err error) {
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		return nil, "", err
	}
	recipient = id.Recipient().String()
	return fmt.Appendf(nil, "# public key: %s\n%s\n", recipient, id), recipient, nil
}

// ProtectIdentity encrypts an identity file by a password, in armor.
func ProtectIdentity(file []byte, password string) ([]byte, error) {
	by, err := age.NewScryptRecipient(password)
	if err != nil {
		return nil, err
	}
	return protect(file, by)
}

func protect(file []byte, by *age.ScryptRecipient) ([]byte, error) {
	var out bytes.Buffer
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, by)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(file); err != nil {
		return nil, err
	}
	if err := errors.Join(w.Close(), armored.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
