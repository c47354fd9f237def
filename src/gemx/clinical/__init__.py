"""What code computes and checks: quantities, calculators, the formulary, patient data and the answer's contract."""
