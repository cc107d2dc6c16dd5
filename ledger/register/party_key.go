package register

import (
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Key is the party's key with that key ID, nil if it has none that may sign.
func (p *PartyRow) Key(keyid string) *KeyRow {
	for i := range p.Keys {
		if p.Keys[i].ID == keyid {
			return &p.Keys[i]
		}
	}
	return nil
}

// Live says whether the key may sign an entry admitted then, on that admission
// date, were it the next after this version of its party.
func (k *KeyRow) Live(admitted time.Time, today record.Date) bool {
	return k.whyNotLive(admitted, today) == ""
}

// whyNotLive says why a key may not sign an entry above the version that it is read
// from; "" means that it may. Validity is judged by log position and admission
// date, never by issuedAt.
func (k *KeyRow) whyNotLive(admitted time.Time, today record.Date) string {
	switch {
	case k.Revoked != 0:
		return fmt.Sprintf("was revoked at index %d", k.Revoked)
	case k.NotAfter != nil && today.After(*k.NotAfter):
		return fmt.Sprintf("was valid until %s", *k.NotAfter)
	case k.UsableFrom != nil && admitted.Before(*k.UsableFrom):
		return fmt.Sprintf("was added by the registrar and counts from %s on", record.Instant{Time: *k.UsableFrom})
	}
	return ""
}

// parsed is the key itself; a log's or witness's row has none.
func (k *KeyRow) parsed() (*record.Key, error) {
	if k.key != nil {
		return k.key, nil
	}
	key, err := k.PEM.Key()
	if err != nil {
		return nil, fmt.Errorf("key row %s: %w: %w", k.ID, ErrDamaged, err)
	}
	return key, nil
}

// prepare parses the keys, once for all who read the row.
func (p *PartyRow) prepare() (err error) {
	for i := range p.Keys {
		if p.Keys[i].key, err = p.Keys[i].PEM.Key(); err != nil {
			return err
		}
	}
	return nil
}
