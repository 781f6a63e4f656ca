"""Was the image perturbed on purpose?"""
