/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka wants these in front of it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
