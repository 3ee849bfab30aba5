"""Counts the floating-point operations of a traced function."""

import math

from jax.extend.core import Jaxpr, jaxprs_in_params


def count_flops(jaxpr: Jaxpr) -> float:
    """Counts 2 per product in convolutions and matrix products, without the zeros of dilation.

    The compiler's own count takes the body of a loop only once. Of the branches of a conditional,
    the most expensive one counts.
    """
    total = 0.0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            kernel = equation.invars[1].aval.shape
            out_axis = equation.params["dimension_numbers"].rhs_spec[0]
            products = math.prod(kernel) / kernel[out_axis]
            dilation = math.prod(equation.params["lhs_dilation"])
            total += 2 * math.prod(equation.outvars[0].aval.shape) * products / dilation
        elif equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left = equation.invars[0].aval.shape
            products = math.prod(left[axis] for axis in contracted)
            total += 2 * math.prod(equation.outvars[0].aval.shape) * products
        turns = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        inner = [count_flops(jaxpr) for jaxpr in jaxprs_in_params(equation.params)]
        branches = equation.primitive.name == "cond"
        total += turns * (max(inner) if branches else sum(inner))
    return total
