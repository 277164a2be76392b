package embedded

import "slices"

// Down-stream numbers and versions carry the life of the store that gave them out: a life begins at the clock, far above
// anything a life before could have reached. A number that a station shows and no life of this file has given out was
// given out by a life that this file does not remember: it is an older copy.
const lifeShift = 16 // 65,536 numbers for every millisecond of a life

// maxLives bounds how many lives are remembered; an older number makes the down-stream begin anew.
const maxLives = 1000

func (t *tx) begin(now uint64) error {
	last, err := t.number(bMeta, kDown)
	if err != nil {
		return err
	}
	life, err := t.number(bMeta, kLife)
	if err != nil {
		return err
	}
	if life != 0 {
		if err := t.put(bLives, u64(life), u64(last)); err != nil {
			return err
		}
	}
	c := t.Bucket(bLives).Cursor()
	for n := t.Bucket(bLives).Inspect().KeyN; n > maxLives; n-- {
		k, _ := c.First()
		if err := t.delete(bLives, slices.Clone(k)); err != nil {
			return err
		}
	}
	first := max(last+1, now<<lifeShift)
	if err := t.put(bMeta, kDown, u64(first)); err != nil {
		return err
	}
	return t.put(bMeta, kLife, u64(first))
}

// floor is the lowest version that a record or a card has in this life.
func (t *tx) floor() (uint64, error) {
	if t.life != 0 {
		return t.life, nil
	}
	var err error
	t.life, err = t.number(bMeta, kLife)
	return t.life, err
}

// Issued tells whether this store has given out a down-stream number. See [hq.Tx].
func (t *tx) Issued(seq uint64) (bool, error) {
	life, err := t.number(bMeta, kLife)
	if err != nil {
		return false, err
	}
	last, err := t.number(bMeta, kDown)
	if err != nil {
		return false, err
	}
	if seq > life {
		return seq <= last, nil
	}
	c := t.Bucket(bLives).Cursor()
	k, _ := c.Seek(u64(seq))
	if k == nil {
		k, _ = c.Last()
	} else {
		k, _ = c.Prev()
	}
	if k == nil {
		return false, nil
	}
	end, err := t.number(bLives, k)
	return seq <= end, err
}
