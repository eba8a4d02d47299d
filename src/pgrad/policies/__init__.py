"""Softmax policies, alone and over a multilayer perceptron."""
