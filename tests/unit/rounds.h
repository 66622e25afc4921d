/* rounds.h -- how often a test of many rounds that are alike goes round: all of them in the plain build, a
 * part in a build with a sanitizer, which takes several times as long for each and finds its errors in the
 * first. */
#ifndef TESTS_ROUNDS_H
#define TESTS_ROUNDS_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS(all, sanitized) (sanitized)
#else
#define ROUNDS(all, sanitized) (all)
#endif

#endif
