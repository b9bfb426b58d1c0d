package main

import "context"

func (a *appliance) demonstrate(context.Context, string) error { return nil }
