package pki

import "context"

// Tick does once what Run does again and again.
func (ca *CA) Tick(ctx context.Context) error {
	for _, do := range []func(context.Context) error{ca.follow, ca.renewLists, ca.renewUnits, ca.watchClock, ca.presign, ca.saveAnswers} {
		if err := do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// OldSchema is how many steps the schema had before units, holders of keys and kept answers.
const OldSchema = 12

// Schema is the schema of this version.
var Schema = schema
