"""What can go wrong, in one tree.

    SteadyBidError
    ├── ConfigError              a setting, target, phase or call that makes no sense
    ├── DataError
    │   ├── SchemaMismatch       a file or table without the columns it needs
    │   ├── FileRefused          a file that cannot be read as a whole (empty, truncated, bomb, foreign)
    │   ├── StaleReports         reports too old to decide upon                      (retryable)
    │   ├── LookAhead            a row learned after the cut reached a decision
    │   └── StoreBusy            the warehouse is locked by another writer           (retryable)
    ├── PredictionError
    │   ├── NotFitted            predict before fit
    │   └── InsufficientHistory  too little evidence, and no fallback was allowed
    ├── OptimizationError
    │   ├── GoalUnreachable      targets collide; carries the certificate in words
    │   └── SolverFailed         no method found an answer
    ├── InvalidPlan              tables, bids or targets that contradict themselves
    └── PlatformError
        ├── Unavailable          no answer                                           (retryable)
        ├── RateLimited          too many calls; try later                           (retryable)
        ├── AuthRejected         the platform does not know us
        └── Unreadable           the platform answered something we cannot read

Not exceptions, but values: a rejected unit (`Receipt`), a guardrail's change (`Intervention`), a spent
budget (a zero target), a hold (a plan with its reason), a quarantined row (with its reason).

A message says what, where, and what to do.
"""

from typing import ClassVar


class SteadyBidError(Exception):
    """Root of all errors that SteadyBid raises on purpose."""

    retryable: ClassVar[bool] = False


class ConfigError(SteadyBidError, ValueError):
    """A setting, target, phase or call that makes no sense."""


class DataError(SteadyBidError):
    """Data that cannot be used as it is."""


class SchemaMismatch(DataError):
    """A file or table lacks the columns it needs, or they have another type."""


class FileRefused(DataError):
    """A file that cannot be read as a whole."""


class StaleReports(DataError):
    """Reports are too old to decide upon."""

    retryable = True


class LookAhead(DataError):
    """A row learned after the cut reached a decision."""


class StoreBusy(DataError):
    """Another writer holds the warehouse."""

    retryable = True


class PredictionError(SteadyBidError):
    """A predictor cannot answer."""


class NotFitted(PredictionError):
    """Predict was called before fit."""


class InsufficientHistory(PredictionError):
    """Too little evidence, and no fallback was allowed."""


class OptimizationError(SteadyBidError):
    """The optimizer has no answer."""


class GoalUnreachable(OptimizationError):
    """Targets collide; the message carries the certificate."""


class SolverFailed(OptimizationError):
    """No method found an answer."""


class InvalidPlan(SteadyBidError, ValueError):
    """Tables, bids or targets that contradict themselves."""


class PlatformError(SteadyBidError):
    """The ad platform did not do what was asked."""


class Unavailable(PlatformError):
    """The platform did not answer."""

    retryable = True


class RateLimited(PlatformError):
    """The platform asks to come back later."""

    retryable = True


class AuthRejected(PlatformError):
    """The platform does not know us."""


class Unreadable(PlatformError):
    """The platform answered something we cannot read."""
