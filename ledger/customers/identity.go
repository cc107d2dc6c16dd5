package customers

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"hash"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// identity is a customer as the log works with one: the key, and what stands for them.
type identity struct {
	ref     vault.Ref
	handle  event.Handle
	key     *vault.Key
	account string // of one that is new, or was looked up by it

	hashing sync.Mutex
	hash    hash.Hash // of an event's ID; guarded by hashing, nil of the house
}

// house is the identity of the house's own chain.
func house(v *vault.Vault) (*identity, error) {
	key, err := v.House()
	if err != nil {
		return nil, err
	}
	return &identity{key: key}, nil
}

func newIdentity(c vault.Customer, account string) (*identity, error) {
	dedup, err := c.Key.Derive("docket customer event IDs")
	if err != nil {
		return nil, err
	}
	return &identity{ref: c.Ref, handle: event.Handle(c.Handle), key: c.Key, account: account, hash: hmac.New(sha256.New, dedup[:])}, nil
}

// idBytes is how much of an ID's hash tells it from others of the log.
const idBytes = 16

// itemID is the ID of an event by the provider's own: of one customer, and under the key, so
// that nobody without it can tell whether there is such an event.
func (w *identity) itemID(id string) (out ledger.ID) {
	w.hashing.Lock()
	defer w.hashing.Unlock()
	w.hash.Reset()
	w.hash.Write([]byte(id))
	var sum [sha256.Size]byte
	copy(out[:idBytes], w.hash.Sum(sum[:0]))
	return out
}

// randomID is the ID of what never comes again.
func randomID() (out ledger.ID) {
	rand.Read(out[:idBytes]) // never fails
	return out
}

// maxIdentities is how many customers' keys are kept in memory.
const maxIdentities = 1 << 15

// identities finds customers by account or ref, and remembers those of late. A new customer is
// the same one for all who open the account at once, and for events that come with it.
type identities struct {
	mu        sync.Mutex
	byAccount *lru.LRU[string, *identity]
	byRef     *lru.LRU[vault.Ref, *identity]
	opening   map[string]*opening // accounts whose first event is under way
}

type opening struct {
	who   *identity
	users int
}

func newIdentities() identities {
	byAccount, _ := lru.NewLRU[string, *identity](maxIdentities, nil) // fails of a size of 0 alone
	byRef, _ := lru.NewLRU[vault.Ref, *identity](maxIdentities, nil)
	return identities{byAccount: byAccount, byRef: byRef, opening: make(map[string]*opening)}
}

// forget drops what is remembered.
func (s *identities) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byAccount.Purge()
	s.byRef.Purge()
}

// find is the customer of an account. With open it is a new one if there is none. opening says
// that the account's first event is under way, so that it is kept until [identities.release].
func (s *identities) find(keys *vault.Store, account string, open bool) (who *identity, isOpening bool, err error) {
	if who, isOpening = s.known(account); who != nil {
		return who, isOpening, nil
	}
	who, err = s.lookUp(keys, account)
	if !errors.Is(err, vault.ErrNoCustomer) {
		return who, false, err
	}
	if !open {
		return nil, false, record.Refuse(record.Conflict, "the account %s is not open here: its first event is opened", schema.Quote(account))
	}
	who, opened, err := s.begin(keys, account)
	if opened {
		who, err = s.lookUp(keys, account)
	}
	return who, !opened && err == nil, err
}

// begin is the new customer of an account, the same for all who open it at once; opened says
// that somebody has opened it meanwhile.
func (s *identities) begin(keys *vault.Store, account string) (who *identity, opened bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.opening[account]; o != nil {
		o.users++
		return o.who, false, nil
	}
	if _, err := keys.ByAccount(account); !errors.Is(err, vault.ErrNoCustomer) {
		return nil, err == nil, err
	}
	if who, err = newIdentity(vault.NewCustomer(), account); err != nil {
		return nil, false, err
	}
	s.opening[account] = &opening{who, 1}
	return who, false, nil
}

func (s *identities) known(account string) (who *identity, isOpening bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.opening[account]; o != nil {
		o.users++
		return o.who, true
	}
	who, _ = s.byAccount.Get(account)
	return who, false
}

func (s *identities) lookUp(keys *vault.Store, account string) (*identity, error) {
	ref, err := keys.ByAccount(account)
	if err != nil {
		return nil, err
	}
	who, err := s.of(keys, ref)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byAccount.Add(account, who)
	return who, nil
}

// release says that the caller's events of an account that was perhaps being opened are
// decided: from now on the key store knows it, or there is none.
func (s *identities) release(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.opening[account]; o != nil {
		if o.users--; o.users == 0 {
			delete(s.opening, account)
		}
	}
}

// of is the customer of a ref.
func (s *identities) of(keys *vault.Store, ref vault.Ref) (*identity, error) {
	s.mu.Lock()
	who, ok := s.byRef.Get(ref)
	s.mu.Unlock()
	if ok {
		return who, nil
	}
	c, err := keys.Customer(ref)
	if err != nil {
		return nil, err
	}
	if who, err = newIdentity(c, ""); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byRef.Add(ref, who)
	return who, nil
}
