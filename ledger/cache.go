package ledger

import (
	"container/list"
	"sync"
)

// tileCache keeps the full tiles used last, checked, with their inner nodes. A
// full tile never changes, so there is nothing to invalidate.
type tileCache struct {
	limit int // tiles

	mu    sync.Mutex
	byID  map[tileKey]*list.Element
	order *list.List // of *cached, newest first
}

type tileKey struct {
	level uint8
	index uint64
}

type cachedTile struct {
	key  tileKey
	tile *expandedTile
}

func newTileCache(bytes int64) *tileCache {
	return &tileCache{
		limit: max(64, int(bytes)/len(expandedTile{})),
		byID:  make(map[tileKey]*list.Element),
		order: list.New(),
	}
}

func (c *tileCache) get(k tileKey) *expandedTile {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byID[k]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cachedTile).tile
}

func (c *tileCache) put(k tileKey, t *expandedTile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byID[k]; e != nil {
		c.order.MoveToFront(e)
		return
	}
	c.byID[k] = c.order.PushFront(&cachedTile{k, t})
	if c.order.Len() > c.limit {
		oldest := c.order.Back()
		delete(c.byID, oldest.Value.(*cachedTile).key)
		c.order.Remove(oldest)
	}
}
