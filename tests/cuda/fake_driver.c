// A CUDA driver that has one GPU and computes nothing: device memory is host memory, kernels are accepted and ignored. With it the host
// side of the CUDA device runs on any machine. Behaviour is chosen by environment: FAKE_CUDA_INIT (an error of cuInit), FAKE_CUDA_VERSION, FAKE_CUDA_DEVICES, FAKE_CUDA_FREE,
// FAKE_CUDA_NAME, FAKE_CUDA_MAJOR and _MINOR (9 and 0: sm_90a), FAKE_CUDA_NO_MAPPING (1: no virtual memory management),
// FAKE_CUDA_GRAPH_BYTES (device memory of a graph), FAKE_CUDA_NO_REGISTER (an error of cuMemHostRegister). Two kernels are
// not ignored: count_differences of the products' bench counts, and one whose name contains FAKE_CUDA_WRONG and whose first parameter is
// LinearArguments (portable.cuh) writes a wrong number.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define API __attribute__((visibility("default"))) int
typedef uint64_t Address;
typedef void* Handle;

static long setting(const char* name, long otherwise) {
  const char* text = getenv(name);
  return text ? atol(text) : otherwise;
}
static _Atomic size_t used;
struct Block {
  size_t bytes, padding;
};

// NVRTC looks for the driver by itself and asks it for a table; it does without.
API cuGetExportTable(const void** table, const void* id) { return *table = NULL, id ? 500 : 1; }
API cuInit(unsigned flags) { return flags == 0 ? (int)setting("FAKE_CUDA_INIT", 0) : 1; }
API cuDriverGetVersion(int* version) { return *version = (int)setting("FAKE_CUDA_VERSION", 13000), 0; }
API cuGetErrorName(int error, const char** name) { return *name = error == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_FAKE", 0; }
API cuGetErrorString(int error, const char** words) { return *words = error == 2 ? "out of memory" : "a fake error", 0; }
API cuDeviceGetCount(int* count) { return *count = (int)setting("FAKE_CUDA_DEVICES", 1), 0; }
API cuDeviceGet(int* device, int ordinal) { return *device = ordinal, ordinal < setting("FAKE_CUDA_DEVICES", 1) ? 0 : 101; }
API cuDeviceGetName(char* name, int bytes, int device) {
  const char* wanted = getenv("FAKE_CUDA_NAME");
  return snprintf(name, (size_t)bytes, "%s", wanted ? wanted : "NVIDIA H100 80GB HBM3"), device * 0;
}
API cuDeviceGetAttribute(int* value, int attribute, int device) {
  *value = attribute == 16 ? 132 : attribute == 75 ? (int)setting("FAKE_CUDA_MAJOR", 9) : attribute == 76 ? (int)setting("FAKE_CUDA_MINOR", 0) : attribute == 97 ? 232448 : attribute == 102 ? !setting("FAKE_CUDA_NO_MAPPING", 0) : 0;
  return device * 0;
}
API cuDeviceGetPCIBusId(char* text, int bytes, int device) { return snprintf(text, (size_t)bytes, "0000:00:00.0"), device * 0; }
API cuDeviceTotalMem_v2(size_t* bytes, int device) { return *bytes = (size_t)80 << 30, device * 0; }
API cuDevicePrimaryCtxRetain(Handle* context, int device) { return *context = (Handle)1, device * 0; }
API cuDevicePrimaryCtxRelease_v2(int device) { return device * 0; }
API cuCtxSetCurrent(Handle context) { return context ? 0 : 1; }
API cuCtxSynchronize(void) { return 0; }
API cuMemGetInfo_v2(size_t* free_bytes, size_t* total) {
  return *free_bytes = (size_t)setting("FAKE_CUDA_FREE", 1L << 36) - used, *total = (size_t)80 << 30, 0;
}
API cuMemAlloc_v2(Address* address, size_t bytes) {
  if (used + bytes > (size_t)setting("FAKE_CUDA_FREE", 1L << 36)) return 2;
  struct Block* block = calloc(1, sizeof *block + bytes);
  if (!block) return 2;
  block->bytes = bytes, used += bytes;
  return *address = (Address)(block + 1), 0;
}
API cuMemFree_v2(Address address) {
  struct Block* block = (struct Block*)address - 1;
  used -= block->bytes;
  return free(block), 0;
}
// Reserved addresses are pages that nobody may touch until memory is mapped to them.
API cuMemGetAllocationGranularity(size_t* bytes, const void* properties, int option) {
  return *bytes = (size_t)2 << 20, properties && option == 0 ? 0 : 1;
}
API cuMemAddressReserve(Address* address, size_t bytes, size_t alignment, Address where, uint64_t flags) {
  void* at = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  *address = (Address)at;
  return at == MAP_FAILED ? 2 : (int)(alignment + where + flags);
}
API cuMemAddressFree(Address address, size_t bytes) { return munmap((void*)address, bytes) ? 1 : 0; }
API cuMemCreate(uint64_t* handle, size_t bytes, const void* properties, uint64_t flags) {
  if (!properties || bytes % ((size_t)2 << 20)) return 1;
  if (used + bytes > (size_t)setting("FAKE_CUDA_FREE", 1L << 36)) return 2;
  used += bytes;
  return *handle = bytes, (int)flags;
}
API cuMemRelease(uint64_t handle) { return used -= handle, 0; }
API cuMemMap(Address address, size_t bytes, size_t offset, uint64_t handle, uint64_t flags) {
  return address && bytes == handle && !offset && !flags ? 0 : 1;
}
API cuMemSetAccess(Address address, size_t bytes, const void* access, size_t count) {
  return access && count == 1 && !mprotect((void*)address, bytes, PROT_READ | PROT_WRITE) ? 0 : 1;
}
API cuMemUnmap(Address address, size_t bytes) {
  return mmap((void*)address, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED ? 1 : 0;
}
API cuMemHostAlloc(void** data, size_t bytes, unsigned flags) { return *data = malloc(bytes), (int)flags * 0; }
API cuMemFreeHost(void* data) { return free(data), 0; }
API cuMemHostRegister_v2(void* data, size_t bytes, unsigned flags) { return data && bytes && !flags ? (int)setting("FAKE_CUDA_NO_REGISTER", 0) : 1; }
API cuMemHostUnregister(void* data) { return data ? 0 : 1; }
API cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, Handle stream) { return memcpy((void*)to, from, bytes), stream ? 0 : 1; }
API cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, Handle stream) { return memcpy(to, (void*)from, bytes), stream ? 0 : 1; }
API cuMemsetD8Async(Address to, unsigned char value, size_t bytes, Handle stream) { return memset((void*)to, value, bytes), stream ? 0 : 1; }
API cuStreamCreate(Handle* stream, unsigned flags) { return *stream = (Handle)2, (int)flags * 0; }
API cuStreamDestroy_v2(Handle stream) { return stream ? 0 : 1; }
API cuStreamSynchronize(Handle stream) { return stream ? 0 : 1; }
API cuStreamBeginCapture_v2(Handle stream, int mode) { return stream ? mode * 0 : 1; }
API cuStreamEndCapture(Handle stream, Handle* graph) { return *graph = (Handle)3, stream ? 0 : 1; }
API cuEventCreate(Handle* event, unsigned flags) { return *event = (Handle)4, (int)flags * 0; }
API cuEventDestroy_v2(Handle event) { return event ? 0 : 1; }
API cuEventRecord(Handle event, Handle stream) { return event && stream ? 0 : 1; }
API cuEventSynchronize(Handle event) { return event ? 0 : 1; }
API cuEventElapsedTime(float* ms, Handle first, Handle second) { return *ms = 1.0f, first && second ? 0 : 1; }
API cuModuleLoadData(Handle* module, const void* image) { return *module = (Handle)5, image ? 0 : 1; }
API cuModuleUnload(Handle module) { return module ? 0 : 1; }
enum { kIgnored = 6, kDifferences = 8, kWrong = 9 };
API cuModuleGetFunction(Handle* function, Handle module, const char* name) {
  const char* wrong = getenv("FAKE_CUDA_WRONG");
  if (!module || !name) return 1;
  *function = (Handle)(intptr_t)(strstr(name, "count_differences") ? kDifferences : wrong && strstr(name, wrong) ? kWrong : kIgnored);
  return 0;
}
API cuFuncSetAttribute(Handle function, int attribute, int value) { return function && value >= 0 ? attribute * 0 : 1; }
API cuLaunchKernelEx(const void* config, Handle function, void** arguments, void** extra) {
  if (function == (Handle)kDifferences) {
    const uint16_t *a = *(const uint16_t**)arguments[0], *b = *(const uint16_t**)arguments[1];
    uint64_t* counter = *(uint64_t**)arguments[3];
    for (int64_t i = 0; i < *(const int64_t*)arguments[2]; ++i) *counter += a[i] != b[i];
  }
  if (function == (Handle)kWrong) {
    uint16_t *output = ((uint16_t**)arguments[0])[4], *output_f32 = ((uint16_t**)arguments[0])[11];
    *(output ? output : output_f32) = 1;
  }
  return config && function && arguments && !extra ? 0 : 1;
}
API cuOccupancyMaxActiveClusters(int* clusters, Handle function, const void* config) { return *clusters = 66, function && config ? 0 : 1; }
// A graph takes half of FAKE_CUDA_GRAPH_BYTES when it is made and half when it is uploaded.
API cuGraphInstantiateWithFlags(Handle* exec, Handle graph, uint64_t flags) {
  size_t* taken = malloc(sizeof *taken);
  *taken = (size_t)setting("FAKE_CUDA_GRAPH_BYTES", 0) / 2, used += *taken;
  return *exec = taken, graph ? (int)flags * 0 : 1;
}
API cuGraphUpload(Handle exec, Handle stream) {
  const size_t more = (size_t)setting("FAKE_CUDA_GRAPH_BYTES", 0) / 2;
  return *(size_t*)exec += more, used += more, stream ? 0 : 1;
}
API cuGraphLaunch(Handle exec, Handle stream) { return exec && stream ? 0 : 1; }
API cuGraphExecDestroy(Handle exec) { return used -= *(size_t*)exec, free(exec), 0; }
API cuGraphDestroy(Handle graph) { return graph ? 0 : 1; }
API cuTensorMapEncodeTiled(void* map, int type, unsigned rank, void* address, const uint64_t* sizes, const uint64_t* strides,
                           const unsigned* box, const unsigned* steps, int interleave, int swizzle, int promotion, int fill) {
  (void)type, (void)sizes, (void)strides, (void)box, (void)steps, (void)interleave, (void)swizzle, (void)promotion, (void)fill;
  return map && rank <= 5 && address && (Address)address % 16 == 0 ? 0 : 1;
}
