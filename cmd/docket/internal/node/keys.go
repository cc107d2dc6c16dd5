package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/keydir"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Keys are a log's signing keys, all named by its origin. They sign checkpoints and
// nothing else. As a rule there is one generation of them, a key of each algorithm;
// while they rotate there are two, and every key signs.
type Keys struct {
	Origin  string
	Signers []*proof.Signer // the older generation first
	Older   int             // how many of them are of the older of two generations; 0 if there is one

	// Refusals signs what is refused; nil in a directory that is older than such a key, until
	// [CreateKeys] is called again. It has one generation: a charter that names another key
	// leaves what the earlier one signed as good as it was.
	Refusals *record.RefusalSigner
}

// refusalsFile is the file of that key.
var refusalsFile = keydir.File{Name: "log-refusals.key", Algorithm: proof.Ed25519}

// refusalsKeyName is the name of a ledger's refusals key. It is not the origin's, so that no
// policy finds a log's key in it; a charter's vkeys have names of 200 characters at most.
func refusalsKeyName(origin string) string {
	const suffix = "/refusals"
	return origin[:min(len(origin), 200-len(suffix))] + suffix
}

// Next are the keys that are to stay, while others sign beside them; none otherwise.
func (k Keys) Next() (next []proof.Key) {
	if k.Older == 0 {
		return nil
	}
	for _, s := range k.Signers[k.Older:] {
		next = append(next, s.Key())
	}
	return next
}

// older are the keys that are to go, while there are two generations.
func (k Keys) older() (older []proof.Key) {
	for _, s := range k.Signers[:k.Older] {
		older = append(older, s.Key())
	}
	return older
}

// maxGenerations is how many generations sign at once. Other witnesses take no
// request above 10 KiB, and a third one's signatures would not fit.
const maxGenerations = 2

// keyFiles are those of one generation. The first one's names bear no number.
func keyFiles(generation int) []keydir.File {
	number := ""
	if generation > 1 {
		number = fmt.Sprintf("-%d", generation)
	}
	return []keydir.File{
		// SPEC: tlog-tiles Checkpoints: a checkpoint bears an Ed25519 signature of the log
		{Name: "log-ed25519" + number + ".key", Algorithm: proof.Ed25519},
		{Name: "log-mldsa44" + number + ".key", Algorithm: proof.MLDSA44},
	}
}

// keyFilePattern is what keyFiles gives, and nothing else.
var keyFilePattern = regexp.MustCompile(`^log-(?:ed25519|mldsa44)(?:-([2-9]|[1-9][0-9]{1,8}))?\.key$`)

// generations are those of which a file is in dir, the oldest first. One that was being
// retired when the power failed is none any more. Those in a backup, or of a ledger
// that was not restored to the end, are not to sign: [ErrBackup], [ErrRestoring].
func generations(dir string) ([]int, error) {
	if err := requireLedger(vfs.Default, dir); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(dir, "keys"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []int
	for _, e := range entries {
		m := keyFilePattern.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		generation := 1
		if m[1] != "" {
			if generation, err = strconv.Atoi(m[1]); err != nil {
				return nil, err
			}
		}
		all = append(all, generation)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(generation int) bool { return halfRetired(dir, generation) }), nil
}

// retiredDir is where keys lie that sign no more.
func retiredDir(dir string) string { return filepath.Join(dir, "keys", "retired") }

// halfRetired says of a generation of which a file is missing that it lies with the
// retired ones.
func halfRetired(dir string, generation int) bool {
	return slices.ContainsFunc(keyFiles(generation), func(f keydir.File) bool {
		_, here := os.Stat(filepath.Join(dir, "keys", f.Name))
		_, there := os.Stat(filepath.Join(retiredDir(dir), f.Name))
		return errors.Is(here, fs.ErrNotExist) && there == nil
	})
}

// RetireKeys takes the older of two generations out of use: its files go to
// keys/retired, and no longer sign from the next start on. Their marks stay. Called again
// after the power failed, it goes on.
func RetireKeys(dir string) error {
	all, err := generations(dir)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("%s: %w", dir, ErrNoKeys)
	}
	for generation := 1; generation < all[len(all)-1]; generation++ {
		for _, f := range keyFiles(generation) {
			if err := retire(dir, f.Name); err != nil {
				return fmt.Errorf("retiring %s: %w", f.Name, err)
			}
		}
	}
	return nil
}

// retire moves one file, if it is there.
func retire(dir, name string) error {
	from, to := filepath.Join(dir, "keys", name), filepath.Join(retiredDir(dir), name)
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := disk.MakeDir(vfs.Default, retiredDir(dir), 0o700); err != nil {
		return err
	}
	return disk.Rename(vfs.Default, from, to)
}

// ErrNoKeys: the directory holds no log keys, or not all of a generation;
// [CreateKeys] makes them.
var ErrNoKeys = keydir.ErrNoKeys

// CreateKeys makes the log's keys in dir, and the one that signs refusals, or keeps those
// that are there already if they have the same origin.
func CreateKeys(dir, origin string) (Keys, error) {
	all, err := generations(dir)
	if err != nil {
		return Keys{}, err
	}
	if len(all) == 0 {
		all = []int{1}
	}
	if err := keydir.Create(dir, origin, keyFiles(all[0])); err != nil {
		return Keys{}, err
	}
	if err := keydir.Create(dir, refusalsKeyName(origin), []keydir.File{refusalsFile}); err != nil {
		return Keys{}, err
	}
	return LoadKeys(dir)
}

// CreateNextKeys makes the keys that are to follow those in dir, and returns them
// alone. If they are there already, because the older ones are too, it keeps them.
func CreateNextKeys(dir, origin string) (Keys, error) {
	all, err := generations(dir)
	if err != nil {
		return Keys{}, err
	}
	if len(all) == 0 {
		return Keys{}, fmt.Errorf("%s: %w", dir, ErrNoKeys)
	}
	present, err := loadKeys(dir, all[0])
	if err != nil {
		return Keys{}, err
	}
	if present.Origin != origin {
		return Keys{}, fmt.Errorf("%s holds the keys of %s", dir, present.Origin)
	}
	next := all[len(all)-1]
	if len(all) == 1 {
		next++
	}
	if err := keydir.Create(dir, origin, keyFiles(next)); err != nil {
		return Keys{}, err
	}
	return loadKeys(dir, next)
}

// LoadKeys reads the log's keys; [ErrNoKeys] if there are none.
func LoadKeys(dir string) (Keys, error) {
	all, err := generations(dir)
	if err != nil {
		return Keys{}, err
	}
	if len(all) == 0 {
		return Keys{}, fmt.Errorf("%s: %w", dir, ErrNoKeys)
	}
	if len(all) > maxGenerations {
		return Keys{}, fmt.Errorf("%s holds %d generations of log keys; at most %d sign at once: remove the files of those that no charter names any more", dir, len(all), maxGenerations)
	}
	k, err := loadKeys(dir, all...)
	if err != nil {
		return Keys{}, err
	}
	if len(all) > 1 {
		k.Older = len(keyFiles(all[0]))
	}
	k.Refusals, err = loadRefusalsKey(dir)
	return k, err
}

// loadRefusalsKey reads the key that signs refusals; nil if there is none.
func loadRefusalsKey(dir string) (*record.RefusalSigner, error) {
	texts, err := keydir.Load(dir, []keydir.File{refusalsFile})
	if errors.Is(err, ErrNoKeys) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	s, err := record.ParseRefusalSigner(texts[0])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", refusalsFile.Name, err)
	}
	return s, nil
}

func loadKeys(dir string, generations ...int) (Keys, error) {
	var k Keys
	for _, generation := range generations {
		files := keyFiles(generation)
		texts, err := keydir.Load(dir, files)
		if err != nil {
			return Keys{}, err
		}
		for i, text := range texts {
			s, err := proof.ParseSigner(text)
			if err != nil {
				return Keys{}, fmt.Errorf("%s: %w", files[i].Name, err)
			}
			if name := s.Key().Name(); k.Origin != "" && name != k.Origin {
				return Keys{}, fmt.Errorf("%s: its keys have two names, %s and %s", dir, k.Origin, name)
			}
			k.Origin, k.Signers = s.Key().Name(), append(k.Signers, s)
		}
	}
	return k, nil
}

// signedMarks are files beside the keys, one for each key that has signed a tree with
// entries. They are outside the store, so that a lost store is noticed: an empty store
// beside a marked key is an error. Only the existence of the file counts; its text is
// for operators.
type signedMarks struct {
	files vfs.FS
	dir   string // of the keys
}

// markSuffix is the end of a mark's name.
const markSuffix = ".signed"

func (m signedMarks) path(k proof.Key) string {
	return m.files.PathJoin(m.dir, fmt.Sprintf("log-%08x%s", k.ID(), markSuffix))
}

// anyMarked says whether one of the signers is marked.
func (m signedMarks) anyMarked(signers []*proof.Signer) (bool, error) {
	for _, s := range signers {
		if there, err := m.isMarked(s.Key()); err != nil || there {
			return there, err
		}
	}
	return false, nil
}

func (m signedMarks) isMarked(k proof.Key) (bool, error) {
	_, err := m.files.Stat(m.path(k))
	if err == nil {
		return true, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return false, fmt.Errorf("looking whether the log key %s has signed: %w", keyText(k), err)
}

// markAll marks the signers that bear no mark yet, durably.
func (m signedMarks) markAll(signers []*proof.Signer) error {
	var missing []proof.Key
	for _, s := range signers {
		if there, err := m.isMarked(s.Key()); err != nil {
			return err
		} else if !there {
			missing = append(missing, s.Key())
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := disk.MakeDir(m.files, m.dir, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", m.dir, err)
	}
	for _, k := range missing {
		if err := m.writeMark(k); err != nil {
			return err
		}
	}
	return nil
}

func (m signedMarks) writeMark(k proof.Key) error {
	text := fmt.Sprintf("The log key %s has signed entries since %s.\nIf the store beside it is empty, the store was lost: bring back the backup, and do not remove this file.\n",
		keyText(k), time.Now().UTC().Format(time.RFC3339))
	return disk.WriteFile(m.files, m.path(k), []byte(text), 0o644, disk.SyncNow)
}

// CheckPolicy refuses a charter whose policy lacks one of the directory's keys: no
// verifier could accept what the ledger signs with it.
func (k Keys) CheckPolicy(c *record.Charter) error {
	policy, err := proof.ParsePolicy([]byte(c.Policy))
	if err != nil {
		return fmt.Errorf("the charter's policy: %w", err)
	}
	if c.Origin != k.Origin {
		return fmt.Errorf("the charter's origin is %s, this directory's keys are named %s", c.Origin, k.Origin)
	}
	if _, unnamed := k.diffPolicy(policy); len(unnamed) > 0 {
		return fmt.Errorf("the charter's policy lacks this directory's log key %s (docket init prints them all)", keyText(unnamed[0]))
	}
	return nil
}

// diffPolicy finds the log keys of the policy that are not here, and those here that
// are not in the policy.
func (k Keys) diffPolicy(policy *proof.Policy) (missing, unnamed []proof.Key) {
	missing = policy.LogKeys(k.Origin)
	for _, s := range k.Signers {
		if i := slices.IndexFunc(missing, s.Key().SamePublicKey); i >= 0 {
			missing = slices.Delete(missing, i, i+1)
		} else {
			unnamed = append(unnamed, s.Key())
		}
	}
	return missing, unnamed
}

// CheckKeys holds the directory's keys against the newest charter: what they sign from
// now on has to satisfy its policy. [ledger.ErrNoLogKey] if they cannot; what needs
// only an operator's attention goes to the log. Without a charter there is nothing to
// check.
func (n *Node) CheckKeys() error {
	policy, since, err := n.policy()
	if policy == nil || err != nil {
		return err
	}
	missing, unnamed := n.config.Keys.diffPolicy(policy)
	if !n.Ledger.CanSign(policy) {
		return fmt.Errorf("the charter at index %d: %w: it names %s; here are %s", since, ledger.ErrNoLogKey, keyTexts(missing), keyTexts(unnamed))
	}
	for _, key := range missing {
		n.config.Log.Warn("the charter's policy names a log key that is not here: nothing is signed with it", "origin", key.Name(), "key", keyText(key), "charter", since)
	}
	n.reportRefusalsKey()
	for _, key := range unnamed {
		n.config.Log.Warn("the charter's policy does not name a log key that is here: it signs, for witnesses that know it, and counts for no verifier", "origin", key.Name(), "key", keyText(key), "charter", since)
	}
	return nil
}

// reportRefusalsKey says once where no refusals will be signed.
func (n *Node) reportRefusalsKey() {
	named, here := n.Register.Begin(time.Now()).RefusalsKey(), ""
	if n.config.Keys.Refusals != nil {
		here = n.config.Keys.Refusals.Key().String()
	}
	switch {
	case named == here && named != "":
	case named == "":
		n.config.Log.Info("no refusals are signed: the charter names no refusalsKey", "here", here)
	default:
		n.config.Log.Warn("no refusals are signed: the charter's refusalsKey is not the one that is here", "named", named, "here", here)
	}
}

// keyText is a key's ID as its vkey and its signature lines bear it. An ML-DSA vkey
// has 1,800 characters.
func keyText(k proof.Key) string { return fmt.Sprintf("%08x (%s)", k.ID(), k.Algorithm()) }

func keyTexts(keys []proof.Key) string {
	texts := make([]string, len(keys))
	for i, k := range keys {
		texts[i] = keyText(k)
	}
	return strings.Join(texts, ", ")
}
