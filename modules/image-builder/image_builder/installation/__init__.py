"""The chart on a cluster of EKS, as the deployspec runs it: installed after the stack, removed before it."""
