/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the model: objects in one piece (fence_object_pack). */
#pragma once

struct fence_policy;

/* What a packed policy holds beside its own memory. */
void fence_policy_packed_done(struct fence_policy *policy);
